// Depth-averaged picture of one mosaic.

process GENERATE_AIPS {
    tag "${meta.id} ${meta.slice}"
    label 'process_low'

    input:
    tuple val(meta), path(mosaic), val(fingerprint)
    val step // Map: flags and code hash of generate_aips

    output:
    tuple val(meta), path("aips/aip_${meta.slice}.png"), emit: picture
    tuple val(meta), path("aips/${meta.slice}_generate_aips_metrics.json"), emit: metrics

    script:
    """
    generate_aips.py --input ${mosaic} --output aips --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    generate_aips.py --stub --input ${mosaic} --output aips --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
