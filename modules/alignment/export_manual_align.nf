// What a person needs to align slices by hand.

process EXPORT_MANUAL_ALIGN {
    tag "${meta.id}"
    label 'process_low'

    input:
    tuple val(meta), path(slices, stageAs: 'slices/*'), path(pairs, stageAs: 'pairs/*'), val(fingerprints) // meta: Map(id); slices: List of stores; pairs: List of folders, may be empty
    val step // Map: flags and code hash of export_manual_align

    output:
    tuple val(meta), path('manual/manual_align_package'), emit: package_folder
    tuple val(meta), path("manual/${meta.id}_export_manual_align_preview.png"), emit: preview
    tuple val(meta), path("manual/${meta.id}_export_manual_align_metrics.json"), emit: metrics

    script:
    def given = pairs ? '--pairs pairs' : ''
    """
    export_manual_align.py --slices slices ${given} --output manual --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    def given = pairs ? '--pairs pairs' : ''
    """
    export_manual_align.py --stub --slices slices ${given} --output manual --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
