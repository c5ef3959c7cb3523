// Whether the rotations of the registered pairs drift along the stack; corrects nothing.

process ANALYZE_ROTATION_DRIFT {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(pairs, stageAs: 'pairs/*'), val(fingerprints) // meta: Map(id); pairs: List of folders of register_pair
    val step // Map: flags and code hash of analyze_rotation_drift

    output:
    tuple val(meta), path('rotation/registration_transforms.csv'), emit: table
    tuple val(meta), path('rotation/rotation_analysis.png'), emit: plot
    tuple val(meta), path('rotation/rotation_analysis.txt'), emit: text
    tuple val(meta), path("rotation/${meta.id}_analyze_rotation_drift_metrics.json"), emit: metrics

    script:
    """
    analyze_rotation_drift.py --pairs pairs --output rotation --name ${meta.id} --code ${step.code} ${step.flags}
    """

    stub:
    """
    analyze_rotation_drift.py --stub --pairs pairs --output rotation --name ${meta.id} --code ${step.code} ${step.flags}
    """
}
