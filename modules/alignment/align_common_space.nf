// All slices of one acquisition on one canvas, and where each of them lies.

process ALIGN_COMMON_SPACE {
    tag "${meta.id}"
    label 'process_medium'

    input:
    tuple val(meta), path(slices, stageAs: 'slices/*'), val(fingerprints), path(shifts, stageAs: 'shifts/*'), path(config, stageAs: 'config/*') // meta: Map(id); slices: List of stores; config: slice_config.csv, or an empty list
    val step // Map: flags and code hash of align_common_space

    output:
    tuple val(meta), path('common/slice_z*_common.ome.zarr'), emit: slices
    tuple val(meta), path('common/common_space.csv'), emit: positions
    tuple val(meta), path('common/*.png'), emit: pictures // preview, and one of each slice with common_space_preview
    tuple val(meta), path("common/${meta.id}_align_common_space_metrics.json"), emit: metrics

    script:
    def table = config ? "--slice_config ${config}" : ''
    """
    align_common_space.py --slices slices --shifts ${shifts} ${table} --output common --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    def table = config ? "--slice_config ${config}" : ''
    """
    align_common_space.py --stub --slices slices --shifts ${shifts} ${table} --output common --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
