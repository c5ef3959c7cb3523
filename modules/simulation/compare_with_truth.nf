// A reconstructed volume against the truth that its slices were cut from.

process COMPARE_WITH_TRUTH {
    tag "${meta.id}"
    label 'process_low'

    input:
    tuple val(meta), path(volume, stageAs: 'input/*'), path(truth, stageAs: 'truth/*'), val(fingerprint) // meta: Map(id); volume: store of stack_slices; truth: folder of simulate_oct
    val step // Map: flags and code hash of compare_with_truth

    output:
    tuple val(meta), path("comparison/${meta.id}_truth_errors.csv"), emit: errors
    tuple val(meta), path("comparison/${meta.id}_compare_with_truth_preview.png"), emit: preview
    tuple val(meta), path("comparison/${meta.id}_compare_with_truth_metrics.json"), emit: metrics

    script:
    """
    compare_with_truth.py --volume ${volume} --truth ${truth} --output comparison --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    compare_with_truth.py --stub --volume ${volume} --truth ${truth} --output comparison --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
