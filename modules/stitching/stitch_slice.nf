// The tiles of one slice in one picture, where their overlaps say they lie.

process STITCH_SLICE {
    tag "${meta.id} ${meta.slice}"
    label 'process_low'
    errorStrategy { FailedSlices.strategy(task, meta) }

    input:
    tuple val(meta), path(mosaic, stageAs: 'input/*'), val(fingerprint), path(transform, stageAs: 'transform/*') // meta: Map(id, slice); mosaic: store; transform: json, or []
    val step // Map: flags and code hash of stitch_slice; fallback: Boolean, whether the transform is for slices with few pairs only

    output:
    tuple val(meta), path("stitched/slice_${meta.slice}_stitch_3d.ome.zarr"), emit: slice
    tuple val(meta), path("stitched/slice_${meta.slice}_tile_{positions,pairs}.csv"), emit: tables
    tuple val(meta), path("stitched/${meta.slice}_stitch_slice_preview.png"), emit: preview
    tuple val(meta), path("stitched/${meta.slice}_stitch_slice_metrics.json"), emit: metrics

    script:
    def pooled = transform ? "--${step.fallback ? 'fallback' : 'global'}_transform ${transform}" : ''
    """
    stitch_slice.py --input ${mosaic} ${pooled} --output stitched --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    def pooled = transform ? "--${step.fallback ? 'fallback' : 'global'}_transform ${transform}" : ''
    """
    stitch_slice.py --stub --input ${mosaic} ${pooled} --output stitched --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
