// One missing slice from the two slices around it; without a store where they do not match.

process INTERPOLATE_SLICE {
    tag "${meta.id} ${meta.slice}"
    label 'process_low'

    input:
    tuple val(meta), path(before, stageAs: 'before/*'), path(after, stageAs: 'after/*'), val(fingerprint) // meta: Map(id, slice: the missing one); stores of align_common_space
    val step // Map: flags and code hash of interpolate_slice

    output:
    tuple val(meta), path("interpolation/slice_${meta.slice}_interpolated.ome.zarr"), optional: true, emit: slice
    tuple val(meta), path("interpolation/slice_${meta.slice}_manifest.csv"), emit: manifest
    tuple val(meta), path("interpolation/slice_${meta.slice}_interpolated_diagnostics.json"), emit: diagnostics
    tuple val(meta), path('interpolation/*.png'), emit: pictures // preview, and sections with interpolation_preview
    tuple val(meta), path("interpolation/${meta.slice}_interpolate_slice_metrics.json"), emit: metrics

    script:
    """
    interpolate_slice.py --before ${before} --after ${after} --output interpolation --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    interpolate_slice.py --stub --before ${before} --after ${after} --output interpolation --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
