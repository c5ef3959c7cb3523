// The tiles of one slice where the stage alone says they lie, for comparison.

process STITCH_MOTOR_ONLY {
    tag "${meta.id} ${meta.slice}"
    label 'process_low'

    input:
    tuple val(meta), path(mosaic, stageAs: 'input/*'), val(fingerprint) // meta: Map(id, slice); mosaic: store
    val step // Map: flags and code hash of stitch_motor_only

    output:
    tuple val(meta), path("motor_only/slice_${meta.slice}_motor_only.ome.zarr"), emit: slice
    tuple val(meta), path("motor_only/${meta.slice}_stitch_motor_only_preview.png"), emit: preview
    tuple val(meta), path("motor_only/${meta.slice}_stitch_motor_only_metrics.json"), emit: metrics

    script:
    """
    stitch_motor_only.py --input ${mosaic} --output motor_only --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    stitch_motor_only.py --stub --input ${mosaic} --output motor_only --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
