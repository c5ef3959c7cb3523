// All slices as one volume where the stage was, for comparison with the registered one.

process STACK_MOTOR_ONLY {
    tag "${meta.id}"
    label 'process_medium'

    input:
    tuple val(meta), path(slices, stageAs: 'slices/*'), val(fingerprints) // meta: Map(id); slices: List of stores of align_common_space
    val step // Map: flags and code hash of stack_motor_only

    output:
    tuple val(meta), path("motor/${meta.id}_motor_only.ome.zarr"), emit: volume
    tuple val(meta), path("motor/${meta.id}_stack_motor_only_preview.png"), emit: preview
    tuple val(meta), path("motor/${meta.id}_stack_motor_only_metrics.json"), emit: metrics

    script:
    """
    stack_motor_only.py --slices slices --output motor --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    stack_motor_only.py --stub --slices slices --output motor --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
