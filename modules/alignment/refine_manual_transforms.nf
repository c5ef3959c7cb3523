// Pairs that a person aligned, refined by registration: the folder that stacking takes instead.

process REFINE_MANUAL_TRANSFORMS {
    tag "${meta.id}"
    label 'process_medium'

    input:
    tuple val(meta), path(slices, stageAs: 'slices/*'), val(fingerprints) // meta: Map(id); slices: List of stores of align_common_space
    path manual, stageAs: 'manual/*' // folder of pairs aligned by hand
    val step // Map: flags and code hash of refine_manual_transforms

    output:
    tuple val(meta), path('refined/manual_transforms'), emit: folder
    tuple val(meta), path('refined/manual_refinement.csv'), emit: table
    tuple val(meta), path('refined/*.png', arity: '0..*'), emit: pictures
    tuple val(meta), path("refined/${meta.id}_refine_manual_transforms_metrics.json"), emit: metrics

    script:
    """
    refine_manual_transforms.py --slices slices --manual ${manual} --output refined --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    refine_manual_transforms.py --stub --slices slices --manual ${manual} --output refined --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
