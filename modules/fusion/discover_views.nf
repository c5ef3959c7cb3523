// Which views a multi-view recording holds, and what is done with them.

process DISCOVER_VIEWS {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(recording, stageAs: 'input/*'), val(fingerprint) // folder with SPM00 inside, and its fingerprint
    val step // Map: flags and code hash of discover_views

    output:
    tuple val(meta), path("recording/${meta.id}_recording.json"), emit: plan
    tuple val(meta), path("recording/${meta.id}_views/*.json"), emit: views
    tuple val(meta), path("recording/${meta.id}_views.csv"), emit: table
    tuple val(meta), path("recording/${meta.id}_discover_views_metrics.json"), emit: metrics

    script:
    """
    discover_views.py --recording ${recording} --output recording --name ${meta.id} --code ${step.code} ${step.flags}
    """

    stub:
    """
    discover_views.py --stub --recording ${recording} --output recording --name ${meta.id} --code ${step.code} ${step.flags}
    """
}
