// A phantom of fibre bundles whose directions are known, used where no volume is at hand.

process SIMULATE_FIBRES {
    tag "${meta.id}"
    label 'process_low'

    input:
    val meta // Map(id String): name of the volume
    val step // Map: flags and code hash of simulate_fibres

    output:
    tuple val(meta), path("simulation/${meta.id}.ome.zarr"), emit: volume
    tuple val(meta), path("simulation/${meta.id}_true_{direction,class}.ome.zarr", arity: '2'), emit: truth

    script:
    """
    simulate_fibres.py --output simulation --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    simulate_fibres.py --stub --output simulation --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
