// One slice on the intensity scale of all slices: 0 is agarose, about 1 is bright tissue.

process NORMALIZE_SLICE {
    tag "${meta.id} ${meta.slice}"
    label 'process_medium'
    errorStrategy { FailedSlices.strategy(task, meta) }

    input:
    // meta: Map(id, slice); slice: store of compensate_attenuation; levels: json of measure_slice; factors: csv of
    // match_slices, for all slices of the subject
    tuple val(meta), path(slice), val(fingerprint), path(levels), path(factors)
    val step // Map: flags and code hash of normalize_slice

    output:
    tuple val(meta), path("normalized/slice_${meta.slice}_normalize.ome.zarr"), emit: slice
    tuple val(meta), path("normalized/${meta.slice}_normalize_slice_preview.png"), emit: preview
    tuple val(meta), path("normalized/${meta.slice}_normalize_slice_metrics.json"), emit: metrics

    script:
    """
    normalize_slice.py --input ${slice} --levels ${levels} --factors ${factors} --output normalized \\
        --name ${meta.slice} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    normalize_slice.py --stub --input ${slice} --levels ${levels} --factors ${factors} --output normalized \\
        --name ${meta.slice} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
