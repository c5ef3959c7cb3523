// The quality report of a run, from what its tasks left: figures, pictures and tables.

process GENERATE_REPORT {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(files, stageAs: 'results/?/*'), val(facts), path(thresholds, stageAs: 'thresholds/*') // meta: Map(id: subject, report: name of the page); files: List of metrics JSON, PNG, CSV and truth.json, in the order of facts.files; facts: JSON String of one line; thresholds: file, or an empty list
    val step // Map: flags and code hash of generate_report

    output:
    tuple val(meta), path("report/${meta.report}_report.html"), emit: page
    tuple val(meta), path("report/${meta.report}_report.{txt,json,zip}"), emit: files
    tuple val(meta), path("report/${meta.report}_generate_report_metrics.json"), emit: metrics

    script:
    def table = thresholds ? "--thresholds ${thresholds}" : ''
    """
    mkdir -p results
    cat > run.json <<'END_OF_FACTS'
    ${facts}
    END_OF_FACTS
    generate_report.py results --facts run.json ${table} --output report --name ${meta.report} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """

    stub:
    def table = thresholds ? "--thresholds ${thresholds}" : ''
    """
    mkdir -p results
    cat > run.json <<'END_OF_FACTS'
    ${facts}
    END_OF_FACTS
    generate_report.py --stub results --facts run.json ${table} --output report --name ${meta.report} \\
        --processes ${task.cpus} --code ${step.code} ${step.flags}
    """
}
