// The maps of one volume as one NumPy archive.

process EXPORT_NPZ {
    tag "${meta.id}"
    label 'process_low'

    input:
    tuple val(meta), path(maps), val(fingerprint) // maps: directory of the results of compute_anisotropy
    val step // Map: flags and code hash of export_npz

    output:
    tuple val(meta), path("npz/${meta.id}_anisotropy.npz"), emit: archive
    tuple val(meta), path('npz/*', arity: '2..*'), emit: files

    script:
    """
    export_npz.py --measures ${maps}/${meta.id}_measures.ome.zarr --principal_dir ${maps}/${meta.id}_principal_dir.ome.zarr \\
        --output npz --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    export_npz.py --stub --measures ${maps}/${meta.id}_measures.ome.zarr --principal_dir ${maps}/${meta.id}_principal_dir.ome.zarr \\
        --output npz --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
