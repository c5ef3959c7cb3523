// Preview picture and report page of one volume's maps.

process REPORT_ANISOTROPY {
    tag "${meta.id}"
    label 'process_low'

    input:
    tuple val(meta), path(maps), path(volume, stageAs: 'input/*'), val(fingerprint)
    val step // Map: flags and code hash of report_anisotropy

    output:
    tuple val(meta), path("report/${meta.id}_preview.png"), emit: preview
    tuple val(meta), path("report/${meta.id}_anisotropy_report.html"), emit: report
    tuple val(meta), path('report/*', arity: '2..*'), emit: files

    script:
    """
    report_anisotropy.py --input ${maps} --volume ${volume} --output report --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    """
    report_anisotropy.py --stub --input ${maps} --volume ${volume} --output report --name ${meta.id} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
