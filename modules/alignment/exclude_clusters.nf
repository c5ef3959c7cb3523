// Slices whose registrations cannot be believed, marked in the table of slices.

process EXCLUDE_CLUSTERS {
    tag "${meta.id}"
    label 'process_single'

    input:
    tuple val(meta), path(pairs, stageAs: 'pairs/*'), path(config, stageAs: 'config/*'), val(fingerprints) // meta: Map(id); pairs: List of folders of register_pair
    val step // Map: flags and code hash of exclude_clusters

    output:
    tuple val(meta), path('excluded/slice_config.csv'), emit: config
    tuple val(meta), path('excluded/excluded_pairs.csv'), emit: pairs
    tuple val(meta), path("excluded/${meta.id}_exclude_clusters_preview.png"), emit: preview
    tuple val(meta), path("excluded/${meta.id}_exclude_clusters_metrics.json"), emit: metrics

    script:
    """
    exclude_clusters.py --pairs pairs --slice_config ${config} --output excluded --name ${meta.id} --code ${step.code} ${step.flags}
    """

    stub:
    """
    exclude_clusters.py --stub --pairs pairs --slice_config ${config} --output excluded --name ${meta.id} --code ${step.code} ${step.flags}
    """
}
