// Structure tensor, measures and directions of one volume, or of one slab of it.

process COMPUTE_ANISOTROPY {
    tag "${meta.id}${slab.count > 1 ? " slab ${slab.index}/${slab.count}" : ''}"
    label 'process_medium'
    label 'process_gpu'

    input:
    tuple val(meta), path(volume, stageAs: 'input/*'), val(fingerprint), val(slab) // slab: Map(index from 1, count, folder)
    val step // Map: flags and code hash of compute_anisotropy
    val device // String: auto, cpu, cuda or mps

    output:
    tuple val(meta), val(slab), path("${slab.folder}/*", arity: '2..*'), emit: files // a slab may hold no plane, so no store
    tuple val(meta), path("${slab.folder}/${meta.id}_compute_anisotropy_metrics.json"), emit: metrics

    script:
    def part = slab.count > 1 ? "--slab ${slab.index}/${slab.count}" : ''
    """
    compute_anisotropy.py --input ${volume} --output ${slab.folder} --name ${meta.id} ${part} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    def part = slab.count > 1 ? "--slab ${slab.index}/${slab.count}" : ''
    """
    compute_anisotropy.py --stub --input ${volume} --output ${slab.folder} --name ${meta.id} ${part} \\
        --device ${device} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
