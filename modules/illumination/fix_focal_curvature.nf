// The mosaic of one slice, no longer bent by the focal surface.

process FIX_FOCAL_CURVATURE {
    tag "${meta.id} ${meta.slice}"
    label 'process_low'
    label 'process_gpu'
    errorStrategy { FailedSlices.strategy(task, meta) }

    input:
    tuple val(meta), path(mosaic, stageAs: 'input/*'), val(fingerprint) // meta: Map(id, slice); mosaic: store
    val step // Map: flags and code hash of fix_focal_curvature
    val device // String: auto, cpu, cuda or mps

    output:
    tuple val(meta), path("flattened/mosaic_grid_${meta.slice}_focal_fix.ome.zarr"), emit: mosaic
    tuple val(meta), path("flattened/${meta.slice}_fix_focal_curvature_preview.png"), emit: preview
    tuple val(meta), path("flattened/${meta.slice}_fix_focal_curvature_metrics.json"), emit: metrics

    script:
    """
    fix_focal_curvature.py --input ${mosaic} --output flattened --name ${meta.slice} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    fix_focal_curvature.py --stub --input ${mosaic} --output flattened --name ${meta.slice} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
