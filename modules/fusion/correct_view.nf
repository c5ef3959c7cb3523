// One view of a camera, cropped, turned, freed of dead pixels and segmented; or its mask alone, as half of a global one.

process CORRECT_VIEW {
    tag "${meta.id}"
    label 'process_medium'
    cache 'deep' // the view's file is written anew with every change of the recording; its content tells whether this view changed

    input:
    tuple val(meta), path(view, stageAs: 'view/*'), path(recording, stageAs: 'recording/*'), val(fingerprint), path(masks, stageAs: 'masks/?/*') // meta: Map(id stem of the view, timepoint, camera, channel); view's JSON file of DISCOVER_VIEWS; folder with SPM00 inside, and the fingerprint of the view's stack; masks to apply, an empty list takes the view's own
    val step // Map: flags and code hash of correct_view

    output:
    tuple val(meta), path("corrected/${meta.id}.ome.zarr"), optional: true, emit: view
    tuple val(meta), path("corrected/${meta.id}_mask.ome.zarr"), optional: true, emit: mask
    tuple val(meta), path("corrected/${meta.id}.{klb,ome.tif}"), optional: true, emit: copy
    tuple val(meta), path("corrected/${meta.id}_correct_view_preview.png"), emit: picture
    tuple val(meta), path("corrected/${meta.id}_correct_view_metrics.json"), emit: metrics

    script:
    def given = masks ? "--mask ${masks}" : ''
    """
    correct_view.py --view ${view} --recording ${recording} ${given} \\
        --output corrected --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    def given = masks ? "--mask ${masks}" : ''
    """
    correct_view.py --stub --view ${view} --recording ${recording} ${given} \\
        --output corrected --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
