// The mosaic of one slice at the voxel size to work on; the way in for mosaics of other programs too.

process RESAMPLE_MOSAIC_GRID {
    tag "${meta.id} ${meta.slice}"
    label 'process_low'
    label 'process_gpu'
    errorStrategy { FailedSlices.strategy(task, meta) }

    input:
    tuple val(meta), path(mosaic, stageAs: 'input/*'), val(fingerprint) // meta: Map(id, slice); mosaic: store
    val step // Map: flags and code hash of resample_mosaic_grid
    val device // String: auto, cpu, cuda or mps

    output:
    tuple val(meta), path("resampled/mosaic_grid_${meta.slice}_resampled.ome.zarr"), emit: mosaic
    tuple val(meta), path("resampled/${meta.slice}_resample_mosaic_grid_preview.png"), emit: preview
    tuple val(meta), path("resampled/${meta.slice}_resample_mosaic_grid_metrics.json"), emit: metrics

    script:
    """
    resample_mosaic_grid.py --input ${mosaic} --output resampled --name ${meta.slice} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    resample_mosaic_grid.py --stub --input ${mosaic} --output resampled --name ${meta.slice} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
