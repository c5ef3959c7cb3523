// What the shifts between the slices of one acquisition look like; corrects nothing.

process ANALYZE_SHIFTS {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(shifts, stageAs: 'input/*') // meta: Map(id); shifts: shifts_xy.csv
    val step // Map: flags and code hash of analyze_shifts

    output:
    tuple val(meta), path('analysis/shifts_analysis.txt'), emit: text
    tuple val(meta), path('analysis/drift_analysis.png'), emit: plot
    tuple val(meta), path('analysis/shifts_filtered.csv'), emit: filtered
    tuple val(meta), path("analysis/${meta.id}_analyze_shifts_metrics.json"), emit: metrics

    script:
    """
    analyze_shifts.py --shifts ${shifts} --output analysis --name ${meta.id} --code ${step.code} ${step.flags}
    """

    stub:
    """
    analyze_shifts.py --stub --shifts ${shifts} --output analysis --name ${meta.id} --code ${step.code} ${step.flags}
    """
}
