// The mosaic of one slice without the shading that its tiles share.

process FIX_ILLUMINATION {
    tag "${meta.id} ${meta.slice}"
    label 'process_low'
    label 'process_gpu'
    errorStrategy { FailedSlices.strategy(task, meta) }

    input:
    tuple val(meta), path(mosaic, stageAs: 'input/*'), val(fingerprint) // meta: Map(id, slice); mosaic: store
    val step // Map: flags and code hash of fix_illumination
    val device // String: auto, cpu, cuda or mps

    output:
    tuple val(meta), path("corrected/mosaic_grid_${meta.slice}_illum_fix.ome.zarr"), emit: mosaic
    tuple val(meta), path("corrected/${meta.slice}_fix_illumination_preview.png"), emit: preview
    tuple val(meta), path("corrected/${meta.slice}_fix_illumination_metrics.json"), emit: metrics

    script:
    """
    fix_illumination.py --input ${mosaic} --output corrected --name ${meta.slice} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    fix_illumination.py --stub --input ${mosaic} --output corrected --name ${meta.slice} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
