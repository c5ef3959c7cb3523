// Masks of several views in one: the global mask of a recording, or the mask of a group of channels.

process JOIN_MASKS {
    tag "${meta.id}"
    label 'process_low'

    input:
    tuple val(meta), path(masks, stageAs: 'masks/?/*'), val(fingerprints) // meta: Map(id, the name of the joined mask); masks or views of CORRECT_VIEW, and their fingerprints
    val step // Map: flags and code hash of join_masks

    output:
    tuple val(meta), path("joined/${meta.id}_mask.ome.zarr"), emit: mask
    tuple val(meta), path("joined/${meta.id}_join_masks_preview.png"), emit: picture
    tuple val(meta), path("joined/${meta.id}_join_masks_metrics.json"), emit: metrics

    script:
    """
    join_masks.py --masks ${masks} --output joined --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    join_masks.py --stub --masks ${masks} --output joined --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
