// Table of the slices of one acquisition, to be edited: which are used, and what was found of the galvo mirror.

process GENERATE_SLICE_CONFIG {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(shifts), path(records, stageAs: 'records/*') // records: List of mosaic_grid_3d_z*.json
    val step // Map: flags and code hash of generate_slice_config

    output:
    tuple val(meta), path('config/slice_config.csv'), emit: config
    tuple val(meta), path("config/${meta.id}_generate_slice_config_metrics.json"), emit: metrics

    script:
    """
    generate_slice_config.py --shifts ${shifts} --records records/*.json --output config --name ${meta.id} \\
        --code ${step.code} ${step.flags}
    """

    stub:
    """
    generate_slice_config.py --stub --shifts ${shifts} --records records/*.json --output config --name ${meta.id} \\
        --code ${step.code} ${step.flags}
    """
}
