// A stacked volume evened out along z and divided by its bias field.

process CORRECT_BIAS_FIELD {
    tag "${meta.id}"
    label 'process_medium'
    label 'process_gpu'

    input:
    tuple val(meta), path(volume, stageAs: 'volume/*'), val(fingerprint) // meta: Map(id); volume: store
    val step // Map: flags and code hash of correct_bias_field
    val device // String: auto, cpu, cuda or mps

    output:
    tuple val(meta), path("corrected/${meta.id}_corrected.ome.zarr"), emit: volume
    tuple val(meta), path("corrected/${meta.id}_bias_field.ome.zarr"), emit: field, optional: true
    tuple val(meta), path("corrected/${meta.id}_bias_preview.png"), emit: preview
    tuple val(meta), path("corrected/${meta.id}_correct_bias_field_metrics.json"), emit: metrics

    script:
    """
    correct_bias_field.py --input ${volume} --output corrected --name ${meta.id} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    correct_bias_field.py --stub --input ${volume} --output corrected --name ${meta.id} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
