// Factors that bring all slices of a subject to one brightness.

process MATCH_SLICES {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(levels, stageAs: 'levels/*') // meta: Map(id); levels: List of slice_z*_levels.json
    val step // Map: flags and code hash of match_slices

    output:
    tuple val(meta), path('matched/slice_factors.csv'), emit: factors
    tuple val(meta), path("matched/${meta.id}_match_slices_metrics.json"), emit: metrics

    script:
    """
    match_slices.py --levels levels/*.json --output matched --name ${meta.id} --code ${step.code} ${step.flags}
    """

    stub:
    """
    match_slices.py --stub --levels levels/*.json --output matched --name ${meta.id} --code ${step.code} ${step.flags}
    """
}
