// Where a slice lies against the one before it: depth, rotation and translation.

process REGISTER_PAIR {
    tag "${meta.id} ${meta.pair}"
    label 'process_medium'

    input:
    // meta: Map(id, slice, pair): slice is the moving one, pair names the folder; two slices on the common canvas
    tuple val(meta), path(fixed, stageAs: 'fixed/*'), path(moving, stageAs: 'moving/*'), val(fingerprints)
    val step // Map: flags and code hash of register_pair

    output:
    tuple val(meta), path("pair/slice_${meta.pair}_pairwise_registration"), emit: pair
    tuple val(meta), path("pair/${meta.pair}_register_pair_preview.png"), emit: preview
    tuple val(meta), path("pair/${meta.pair}_register_pair_metrics.json"), emit: metrics

    script:
    """
    register_pair.py --fixed ${fixed} --moving ${moving} --output pair --name ${meta.pair} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    register_pair.py --stub --fixed ${fixed} --moving ${moving} --output pair --name ${meta.pair} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
