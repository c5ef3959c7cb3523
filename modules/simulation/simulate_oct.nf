// A serial-section OCT acquisition whose truth is known, cut from a given volume or from a procedural brain.

process SIMULATE_OCT {
    tag "${meta.id}"
    label 'process_low'

    input:
    tuple val(meta), path(truth, stageAs: 'input/*') // volume to cut; an empty list takes the procedural brain
    val step // Map: flags and code hash of simulate_oct

    output:
    tuple val(meta), path("simulation/${meta.id}_raw"), emit: raw
    tuple val(meta), path("simulation/${meta.id}_truth"), emit: truth
    tuple val(meta), path("simulation/${meta.id}_simulate_oct_metrics.json"), emit: metrics

    script:
    def volume = truth ? "--truth ${truth}" : ''
    """
    simulate_oct.py ${volume} --output simulation --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    def volume = truth ? "--truth ${truth}" : ''
    """
    simulate_oct.py --stub ${volume} --output simulation --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
