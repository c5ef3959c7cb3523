// Which file format and codec suits a view: seconds, size and speed of KLB, TIFF and Zarr.

process BENCHMARK_COMPRESSION {
    tag "${meta.id}"
    label 'process_medium'

    input:
    tuple val(meta), path(view, stageAs: 'input/*'), val(fingerprint) // store or file of a view, and its fingerprint
    val step // Map: flags and code hash of benchmark_compression

    output:
    tuple val(meta), path("compression/${meta.id}_compression.csv"), emit: table
    tuple val(meta), path("compression/${meta.id}_compression.md"), emit: text
    tuple val(meta), path("compression/${meta.id}_compression.png"), emit: picture
    tuple val(meta), path("compression/${meta.id}_benchmark_compression_metrics.json"), emit: metrics

    script:
    """
    benchmark_compression.py --input ${view} --output compression --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    benchmark_compression.py --stub --input ${view} --output compression --name ${meta.id} --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
