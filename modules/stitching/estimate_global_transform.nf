// How far tiles step along rows and columns, one answer for all slices of an acquisition.

process ESTIMATE_GLOBAL_TRANSFORM {
    tag "${meta.id}"
    label 'process_low'

    input:
    tuple val(meta), path(mosaics, stageAs: 'mosaics/*'), val(fingerprints) // meta: Map(id); mosaics: List of stores
    val step // Map: flags and code hash of estimate_global_transform

    output:
    tuple val(meta), path("pooled/${meta.id}_global_transform.json"), emit: transform
    tuple val(meta), path("pooled/${meta.id}_estimate_global_transform_preview.png"), emit: preview
    tuple val(meta), path("pooled/${meta.id}_estimate_global_transform_metrics.json"), emit: metrics

    script:
    """
    estimate_global_transform.py --mosaics mosaics --output pooled --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    estimate_global_transform.py --stub --mosaics mosaics --output pooled --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
