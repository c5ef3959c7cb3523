// Centre planes of one mosaic.

process GENERATE_PREVIEWS {
    tag "${meta.id} ${meta.slice}"
    label 'process_low'

    input:
    tuple val(meta), path(mosaic), val(fingerprint)
    val step // Map: flags and code hash of generate_previews

    output:
    tuple val(meta), path("previews/mosaic_grid_${meta.slice}_preview.png"), emit: picture
    tuple val(meta), path("previews/${meta.slice}_generate_previews_metrics.json"), emit: metrics

    script:
    """
    generate_previews.py --input ${mosaic} --output previews --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    generate_previews.py --stub --input ${mosaic} --output previews --name ${meta.slice} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
