// A volume turned to RAS and registered to a mouse brain template.

process ALIGN_TO_RAS {
    tag "${meta.id}"
    label 'process_medium'

    input:
    tuple val(meta), path(volume, stageAs: 'volume/*'), val(fingerprint) // meta: Map(id); volume: store
    tuple path(template, stageAs: 'template/*'), path(annotation, stageAs: 'annotation/*'), val(atlas_fingerprint) // each may be []
    val step // Map: flags and code hash of align_to_ras

    output:
    tuple val(meta), path("ras/${meta.id}_ras.ome.zarr"), emit: volume
    tuple val(meta), path("ras/${meta.id}_ras_transform.tfm"), emit: transform
    tuple val(meta), path('ras/*.png', arity: '0..*'), emit: pictures
    tuple val(meta), path("ras/${meta.id}_align_to_ras_metrics.json"), emit: metrics

    script:
    """
    align_to_ras.py --input ${volume} --output ras --name ${meta.id} ${template ? "--template ${template}" : ''} \\
        ${annotation ? "--annotation ${annotation}" : ''} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    align_to_ras.py --stub --input ${volume} --output ras --name ${meta.id} ${template ? "--template ${template}" : ''} \\
        ${annotation ? "--annotation ${annotation}" : ''} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
