// One slice from its cut face down.

process CROP_INTERFACE {
    tag "${meta.id} ${meta.slice}"
    label 'process_medium'
    errorStrategy { FailedSlices.strategy(task, meta) }

    input:
    tuple val(meta), path(slice), val(fingerprint) // meta: Map(id, slice); slice: store of correct_beam_profile
    val step // Map: flags and code hash of crop_interface

    output:
    tuple val(meta), path("cropped/slice_${meta.slice}_crop_interface.ome.zarr"), emit: slice
    tuple val(meta), path("cropped/${meta.slice}_crop_interface_preview.png"), emit: preview
    tuple val(meta), path("cropped/${meta.slice}_crop_interface_metrics.json"), emit: metrics

    script:
    """
    crop_interface.py --input ${slice} --output cropped --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    crop_interface.py --stub --input ${slice} --output cropped --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
