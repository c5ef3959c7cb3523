// Multi-view light sheet: views corrected, pairs of light sheets and cameras registered and fused, time point by time point.

include { VIEWS } from './views'
include { PAIRS } from './pairs'
include { PAIRS as FOUR_VIEWS } from './pairs'

workflow FUSION {
    take:
    recordings // channel: [ meta Map(id String), recording Path of the folder with SPM00 inside, fingerprint String ]
    subject // String: name of the recording
    steps // Map: name of a step -> Map(flags String, code String)
    choices // Map: name of a parameter -> value

    main:
    VIEWS(recordings, steps, choices.segment_mode)
    plans = VIEWS.out.plans.map { _meta, plan -> plan }
    views = VIEWS.out.views.map { meta, store, fingerprint -> tuple(meta.id, store, fingerprint) }
    smoothed = FusionPlan.isSmoothed(choices)

    // channel: [ meta Map(id, timepoint, folder), id of the first view, id of the second view ]
    pairs = plans.flatMap { plan -> plan.fused ? plan.pairs() : [] }
    PAIRS(pairs, views, Channel.empty(), subject, steps, smoothed)
    // channel: like pairs, of fused views: both light sheets of both cameras
    fours = plans.flatMap { plan -> plan.fused ? plan.fourViews() : [] }
    fused = PAIRS.out.fused.map { meta, store -> tuple(meta.id, store, Fingerprint.of(store)) }
    FOUR_VIEWS(fours, fused, PAIRS.out.registrations, subject, steps, smoothed)

    // The table of all pairs is the later one; it is the first's where no views are fused twice.
    // channel: Boolean
    twice = plans.map { plan -> plan.fused && plan.fourViews() as boolean }
    tables = PAIRS.out.tables
        .combine(twice)
        .filter { _folder, _path, again -> !again }
        .map { folder, path, _again -> tuple(folder, path) }
        .mix(FOUR_VIEWS.out.tables.combine(twice).filter { _folder, _path, again -> again }.map { folder, path, _again -> tuple(folder, path) })

    // channel: [ meta, store Path, parts Boolean that the store is fused once more, kept Boolean that it is a result even so ]
    parts = PAIRS.out.fused
        .combine(plans)
        .map { meta, store, plan -> tuple(meta, store, plan.fourViews().any { item -> meta.id in item[1..2] }, plan.pairsKept) }
    results = parts.filter { _meta, _store, part, kept -> !part || kept }.map { meta, store, _part, _kept -> tuple(meta, store) }.mix(FOUR_VIEWS.out.fused)
    last = parts.filter { _meta, _store, part, _kept -> !part }.map { meta, store, _part, _kept -> tuple(meta, store) }.mix(FOUR_VIEWS.out.fused)
    unfused = VIEWS.out.views
        .combine(plans)
        .filter { _meta, _store, _fingerprint, plan -> !plan.fused }
        .map { meta, store, fingerprint, _plan -> tuple([id: meta.id], store, fingerprint) }

    // channel: [ folder String below fusion/, file or store Path ]
    files = VIEWS.out.published.mix(
        results.mix(PAIRS.out.apart, FOUR_VIEWS.out.apart).map { _meta, store -> tuple('fused', store) },
        tables,
        PAIRS.out.notes,
        FOUR_VIEWS.out.notes,
    )

    emit:
    volumes = last.map { meta, store -> tuple([id: meta.id], store, Fingerprint.of(store)) }.mix(unfused) // channel: [ meta Map(id), volume Path, fingerprint ]
    published = files
}
