// Encoder glitches out of the shifts of one acquisition; re-homings are kept and marked.

process DETECT_REHOMING {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(shifts, stageAs: 'input/*'), path(config, stageAs: 'config/*') // config: slice_config.csv, or an empty list
    val step // Map: flags and code hash of detect_rehoming

    output:
    tuple val(meta), path('rehoming/shifts_xy_clean.csv'), emit: shifts
    tuple val(meta), path('rehoming/slice_config.csv'), emit: config
    tuple val(meta), path('rehoming/rehoming_report.json'), emit: report
    tuple val(meta), path('rehoming/*.png'), emit: pictures // preview, and rehoming_plot.png with rehoming_diagnostics
    tuple val(meta), path("rehoming/${meta.id}_detect_rehoming_metrics.json"), emit: metrics

    script:
    def slices = config ? "--slice_config ${config}" : ''
    """
    detect_rehoming.py --shifts ${shifts} ${slices} --output rehoming --name ${meta.id} --code ${step.code} ${step.flags}
    """

    stub:
    def slices = config ? "--slice_config ${config}" : ''
    """
    detect_rehoming.py --stub --shifts ${shifts} ${slices} --output rehoming --name ${meta.id} --code ${step.code} ${step.flags}
    """
}
