// How the second view of a pair lies against the first, at one time point.

process REGISTER_VIEWS {
    tag "${meta.id}"
    label 'process_medium'

    input:
    tuple val(meta), path(reference, stageAs: 'first/*'), path(moving, stageAs: 'second/*'), val(fingerprints) // meta: Map(id stem of the fused view, timepoint, folder); stores of both views, and their fingerprints
    val step // Map: flags and code hash of register_views

    output:
    tuple val(meta), path("registered/${meta.id}_registration.json"), path("registered/${meta.id}_topology.ome.zarr"), emit: registration
    tuple val(meta), path("registered/${meta.id}_register_views_preview.png"), emit: picture
    tuple val(meta), path("registered/${meta.id}_register_views_metrics.json"), emit: metrics

    script:
    """
    register_views.py --reference ${reference} --moving ${moving} --output registered --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    register_views.py --stub --reference ${reference} --moving ${moving} --output registered --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
