// One slice with the light made up for that tissue takes.

process COMPENSATE_ATTENUATION {
    tag "${meta.id} ${meta.slice}"
    label 'process_medium'
    label 'process_gpu'
    errorStrategy { FailedSlices.strategy(task, meta) }

    input:
    tuple val(meta), path(slice), val(fingerprint) // meta: Map(id, slice); slice: store of crop_interface
    val step // Map: flags and code hash of compensate_attenuation
    val device // String: auto, cpu, cuda or mps

    output:
    tuple val(meta), path("compensated/slice_${meta.slice}_attn_corr.ome.zarr"), emit: slice
    tuple val(meta), path("compensated/${meta.slice}_compensate_attenuation_preview.png"), emit: preview
    tuple val(meta), path("compensated/${meta.slice}_compensate_attenuation_metrics.json"), emit: metrics

    script:
    """
    compensate_attenuation.py --input ${slice} --output compensated --name ${meta.slice} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    compensate_attenuation.py --stub --input ${slice} --output compensated --name ${meta.slice} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
