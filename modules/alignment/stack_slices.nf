// All slices of one acquisition as one volume.

process STACK_SLICES {
    tag "${meta.id}"
    label 'process_medium'

    input:
    // meta: Map(id); slices: List of stores; pairs: List of folders, may be empty; config: slice_config_final.csv
    tuple val(meta), path(slices, stageAs: 'slices/*'), path(pairs, stageAs: 'pairs/*'), path(config, stageAs: 'config/*'), val(fingerprints)
    path manual, stageAs: 'manual/*' // folder of pairs aligned by hand, or an empty list
    val step // Map: flags and code hash of stack_slices

    output:
    tuple val(meta), path("stack/${meta.id}.ome.zarr"), emit: volume
    tuple val(meta), path("stack/${meta.id}.ome.zarr.zip"), emit: archive
    tuple val(meta), path('stack/*.png'), emit: pictures // plain and annotated
    tuple val(meta), path('stack/*.csv'), emit: tables // z_matches and stacking_decisions
    tuple val(meta), path("stack/${meta.id}_stack_slices_metrics.json"), emit: metrics

    script:
    def given = (pairs ? '--pairs pairs ' : '') + (manual ? "--manual ${manual} " : '') + (config ? "--slice_config ${config}" : '')
    """
    stack_slices.py --slices slices ${given} --output stack --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    def given = (pairs ? '--pairs pairs ' : '') + (manual ? "--manual ${manual} " : '') + (config ? "--slice_config ${config}" : '')
    """
    stack_slices.py --stub --slices slices ${given} --output stack --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
