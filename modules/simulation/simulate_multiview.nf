// A multi-view light-sheet recording whose truth is known, of a given sample or of procedural nuclei.

process SIMULATE_MULTIVIEW {
    tag "${meta.id}"
    label 'process_low'

    input:
    tuple val(meta), path(truth, stageAs: 'input/*') // sample to record; an empty list takes procedural nuclei
    val step // Map: flags and code hash of simulate_multiview

    output:
    tuple val(meta), path("simulation/${meta.id}_raw"), emit: raw
    tuple val(meta), path("simulation/${meta.id}_truth"), emit: truth
    tuple val(meta), path("simulation/${meta.id}_simulate_multiview_metrics.json"), emit: metrics

    script:
    def volume = truth ? "--truth ${truth}" : ''
    """
    simulate_multiview.py ${volume} --output simulation --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    def volume = truth ? "--truth ${truth}" : ''
    """
    simulate_multiview.py --stub ${volume} --output simulation --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
