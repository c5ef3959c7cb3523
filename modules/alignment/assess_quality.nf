// The table of slices with the quality of each.

process ASSESS_QUALITY {
    tag "${meta.id}"
    label 'process_low'

    input:
    tuple val(meta), path(slices, stageAs: 'slices/*'), val(fingerprints), path(config, stageAs: 'config/*') // meta: Map(id); slices: List of stores; config: slice_config.csv, or an empty list
    val step // Map: flags and code hash of assess_quality

    output:
    tuple val(meta), path('assessed/slice_config.csv'), emit: config
    tuple val(meta), path("assessed/${meta.id}_assess_quality_preview.png"), emit: preview
    tuple val(meta), path("assessed/${meta.id}_assess_quality_metrics.json"), emit: metrics

    script:
    def table = config ? "--slice_config ${config}" : ''
    """
    assess_quality.py --slices slices ${table} --output assessed --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    def table = config ? "--slice_config ${config}" : ''
    """
    assess_quality.py --stub --slices slices ${table} --output assessed --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
