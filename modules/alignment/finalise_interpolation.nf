// The table of slices of one acquisition with what became of each gap.

process FINALISE_INTERPOLATION {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(config, stageAs: 'config/*'), path(positions, stageAs: 'positions/*'), path(manifests, stageAs: 'manifests/*') // config, positions, manifests: files, or empty lists
    val step // Map: flags and code hash of finalise_interpolation

    output:
    tuple val(meta), path('final/slice_config_final.csv'), emit: config
    tuple val(meta), path("final/${meta.id}_finalise_interpolation_metrics.json"), emit: metrics

    script:
    def given = [slice_config: config, positions: positions, manifests: manifests].findAll { option -> option.value }.collect { option -> "--${option.key} ${option.value}" }.join(' ')
    """
    finalise_interpolation.py ${given} --output final --name ${meta.id} --code ${step.code} ${step.flags}
    """

    stub:
    def given = [slice_config: config, positions: positions, manifests: manifests].findAll { option -> option.value }.collect { option -> "--${option.key} ${option.value}" }.join(' ')
    """
    finalise_interpolation.py --stub ${given} --output final --name ${meta.id} --code ${step.code} ${step.flags}
    """
}
