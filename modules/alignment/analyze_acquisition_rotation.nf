// Whether the path of the stage turns from slice to slice; corrects nothing.

process ANALYZE_ACQUISITION_ROTATION {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(shifts, stageAs: 'input/*') // meta: Map(id); shifts: shifts_xy.csv
    val step // Map: flags and code hash of analyze_acquisition_rotation

    output:
    tuple val(meta), path('rotation/acquisition_rotation_data.csv'), emit: table
    tuple val(meta), path('rotation/acquisition_rotation.json'), emit: figures
    tuple val(meta), path('rotation/acquisition_rotation.png'), emit: plot
    tuple val(meta), path('rotation/acquisition_rotation.txt'), emit: text
    tuple val(meta), path("rotation/${meta.id}_analyze_acquisition_rotation_metrics.json"), emit: metrics

    script:
    """
    analyze_acquisition_rotation.py --shifts ${shifts} --output rotation --name ${meta.id} --code ${step.code} ${step.flags}
    """

    stub:
    """
    analyze_acquisition_rotation.py --stub --shifts ${shifts} --output rotation --name ${meta.id} --code ${step.code} ${step.flags}
    """
}
