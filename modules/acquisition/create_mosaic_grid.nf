// Mosaic of one slice: its raw tiles side by side in one store, and a record of what was found.

process CREATE_MOSAIC_GRID {
    tag "${meta.id} ${meta.slice}"
    label 'process_medium'
    label 'process_gpu'
    errorStrategy { FailedSlices.strategy(task, meta) }

    input:
    tuple val(meta), path(tiles, stageAs: 'tiles/*'), val(fingerprint) // meta: Map(id, slice); tiles: List of tile folders
    val step // Map: flags and code hash of create_mosaic_grid
    val device // String: auto, cpu, cuda or mps

    output:
    tuple val(meta), path("mosaic/mosaic_grid_3d_${meta.slice}.ome.zarr"), emit: mosaic
    tuple val(meta), path("mosaic/mosaic_grid_3d_${meta.slice}.json"), emit: record
    tuple val(meta), path("mosaic/${meta.slice}_create_mosaic_grid_metrics.json"), emit: metrics

    script:
    """
    create_mosaic_grid.py --input tiles --output mosaic --name ${meta.slice} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    create_mosaic_grid.py --stub --input tiles --output mosaic --name ${meta.slice} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
