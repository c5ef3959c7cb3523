// Joins the slabs of one volume: whole shards are moved together, no voxel is computed again.

process GATHER_ANISOTROPY {
    tag "${meta.id}"
    label 'process_low'

    input:
    tuple val(meta), path(parts, stageAs: 'part?/*'), val(fingerprint) // parts: directories in the order of the slabs
    val step // Map: flags and code hash of gather_anisotropy

    output:
    tuple val(meta), path("maps/${meta.id}_{measures,principal_dir,fibre_dir,mask}.ome.zarr", arity: '4'), emit: stores
    tuple val(meta), path("maps/${meta.id}_statistics.json"), emit: statistics
    tuple val(meta), path("maps/${meta.id}_gather_anisotropy_metrics.json"), emit: metrics
    tuple val(meta), path('maps/*', arity: '6..*'), emit: files

    script:
    """
    gather_anisotropy.py --input ${parts} --output maps --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    gather_anisotropy.py --stub --input ${parts} --output maps --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
