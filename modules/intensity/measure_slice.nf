// Background, white level and brightness of one slice.

process MEASURE_SLICE {
    tag "${meta.id} ${meta.slice}"
    label 'process_low'
    errorStrategy { FailedSlices.strategy(task, meta) }

    input:
    tuple val(meta), path(slice), val(fingerprint) // meta: Map(id, slice); slice: store of compensate_attenuation
    val step // Map: flags and code hash of measure_slice

    output:
    tuple val(meta), path("levels/slice_${meta.slice}_levels.json"), emit: levels
    tuple val(meta), path("levels/${meta.slice}_measure_slice_metrics.json"), emit: metrics

    script:
    """
    measure_slice.py --input ${slice} --output levels --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    measure_slice.py --stub --input ${slice} --output levels --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
