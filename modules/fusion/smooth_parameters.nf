// Parameters of all pairs and time points of a recording, raw and smoothed.

process SMOOTH_PARAMETERS {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(registrations, stageAs: 'registrations/*') // meta: Map(id); List of registrations of register_views
    val step // Map: flags and code hash of smooth_parameters

    output:
    tuple val(meta), path('smoothed/parameters.csv'), emit: table
    tuple val(meta), path('smoothed/lookup_table.csv'), optional: true, emit: lookup
    tuple val(meta), path("smoothed/${meta.id}_parameters/*_registration.json"), emit: registrations
    tuple val(meta), path("smoothed/${meta.id}_smooth_parameters_preview.png"), emit: picture
    tuple val(meta), path("smoothed/${meta.id}_smooth_parameters_metrics.json"), emit: metrics

    script:
    """
    smooth_parameters.py --registrations registrations --output smoothed --name ${meta.id} --code ${step.code} ${step.flags}
    """

    stub:
    """
    smooth_parameters.py --stub --registrations registrations --output smoothed --name ${meta.id} --code ${step.code} ${step.flags}
    """
}
