// Seams of one slice, stitched by its overlaps and by the stage alone.

process COMPARE_STITCHING {
    tag "${meta.id} ${meta.slice}"
    label 'process_low'

    input:
    tuple val(meta), path(refined, stageAs: 'refined/*'), path(motor, stageAs: 'motor/*'), val(fingerprints) // meta: Map(id, slice); refined, motor: stores; fingerprints: List
    val step // Map: flags and code hash of compare_stitching

    output:
    tuple val(meta), path("compared/slice_${meta.slice}_seam_profiles.csv"), emit: table
    tuple val(meta), path("compared/${meta.slice}_compare_stitching_preview.png"), emit: preview
    tuple val(meta), path("compared/${meta.slice}_compare_stitching_metrics.json"), emit: metrics

    script:
    """
    compare_stitching.py --refined ${refined} --motor ${motor} --output compared --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    compare_stitching.py --stub --refined ${refined} --motor ${motor} --output compared --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
