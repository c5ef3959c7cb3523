// One slice without the beam's axial sensitivity and the signal without light.

process CORRECT_BEAM_PROFILE {
    tag "${meta.id} ${meta.slice}"
    label 'process_medium'
    errorStrategy { FailedSlices.strategy(task, meta) }

    input:
    tuple val(meta), path(slice), val(fingerprint) // meta: Map(id, slice); slice: store of stitch_slice
    val step // Map: flags and code hash of correct_beam_profile

    output:
    tuple val(meta), path("axial/slice_${meta.slice}_axial_corr.ome.zarr"), emit: slice
    tuple val(meta), path("axial/${meta.slice}_correct_beam_profile_preview.png"), emit: preview
    tuple val(meta), path("axial/${meta.slice}_correct_beam_profile_metrics.json"), emit: metrics

    script:
    """
    correct_beam_profile.py --input ${slice} --output axial --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    correct_beam_profile.py --stub --input ${slice} --output axial --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
