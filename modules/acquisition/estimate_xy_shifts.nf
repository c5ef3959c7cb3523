// Shifts between the slices of one acquisition, from the stage positions of all tiles.

process ESTIMATE_XY_SHIFTS {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(raw, stageAs: 'input/*'), val(fingerprint) // raw: folder that holds the tile folders
    val step // Map: flags and code hash of estimate_xy_shifts

    output:
    tuple val(meta), path('shifts/shifts_xy.csv'), emit: shifts
    tuple val(meta), path("shifts/${meta.id}_estimate_xy_shifts_metrics.json"), emit: metrics

    script:
    """
    estimate_xy_shifts.py --input ${raw} --output shifts --name ${meta.id} --code ${step.code} ${step.flags}
    """

    stub:
    """
    estimate_xy_shifts.py --stub --input ${raw} --output shifts --name ${meta.id} --code ${step.code} ${step.flags}
    """
}
