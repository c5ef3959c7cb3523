// Two registered views of one time point in one volume; apart where the registration was refused.

process FUSE_VIEWS {
    tag "${meta.id}"
    label 'process_medium'

    input:
    tuple val(meta), path(reference, stageAs: 'first/*'), path(moving, stageAs: 'second/*'), val(fingerprints), path(registration, stageAs: 'registration/*'), path(topology, stageAs: 'topology/*') // meta: Map(id stem of the fused view, timepoint, folder); stores of both views, and their fingerprints; results of register_views or smooth_parameters
    val step // Map: flags and code hash of fuse_views

    output:
    tuple val(meta), path("fused/${meta.id}.ome.zarr"), optional: true, emit: fused
    tuple val(meta), path("fused/${meta.id}_apart.ome.zarr"), optional: true, emit: apart
    tuple val(meta), path("fused/${meta.id}_diagnostics/*.png"), optional: true, emit: diagnostics
    tuple val(meta), path("fused/${meta.id}_fuse_views_preview.png"), emit: picture
    tuple val(meta), path("fused/${meta.id}_fuse_views_metrics.json"), emit: metrics

    script:
    """
    fuse_views.py --reference ${reference} --moving ${moving} --registration ${registration} --topology ${topology} \\
        --output fused --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    fuse_views.py --stub --reference ${reference} --moving ${moving} --registration ${registration} --topology ${topology} \\
        --output fused --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
