// Pairs of views: registered at each time point, their parameters smoothed over time where that is wanted, and fused.

include { REGISTER_VIEWS } from '../modules/fusion/register_views'
include { SMOOTH_PARAMETERS } from '../modules/fusion/smooth_parameters'
include { FUSE_VIEWS } from '../modules/fusion/fuse_views'

workflow PAIRS {
    take:
    wanted // channel: [ meta Map(id, timepoint, folder), id of the first view String, id of the second view String ]
    views // channel: [ id String, store Path, fingerprint String ]
    earlier // channel: registration Path, of pairs that the table of parameters holds too
    subject // String: name of the recording
    steps // Map: name of a step -> Map(flags String, code String)
    smoothed // Boolean: pairs wait for the parameters of all time points

    main:
    // channel: [ meta, first Path, second Path, fingerprints String ]
    pairs = wanted
        .map { meta, first, second -> tuple(first, meta, second) }
        .combine(views, by: 0)
        .map { _first, meta, second, store, fingerprint -> tuple(second, meta, store, fingerprint) }
        .combine(views, by: 0)
        .map { _second, meta, one, print, store, fingerprint -> tuple(meta, one, store, "${print} ${fingerprint}".toString()) }
    REGISTER_VIEWS(pairs, steps.register_views)
    registered = REGISTER_VIEWS.out.registration

    // channel: [ meta Map(id), registrations List of Path in the order of their names ]
    together = registered
        .map { _meta, registration, _topology -> registration }
        .mix(earlier)
        .toSortedList { one, other -> one.name <=> other.name }
        .filter { found -> found }
        .map { found -> tuple([id: subject], found) }
    SMOOTH_PARAMETERS(together, steps.smooth_parameters)
    // Without smoothing a time point is fused as soon as it is registered.
    // channel: [ id String, registration Path ]
    records = smoothed
        ? SMOOTH_PARAMETERS.out.registrations.flatMap { _meta, files -> (files instanceof List ? files : [files]).collect { file -> tuple(file.name - '_registration.json', file) } }
        : registered.map { meta, registration, _topology -> tuple(meta.id, registration) }
    ready = pairs
        .join(registered.map { meta, _registration, topology -> tuple(meta, topology) })
        .map { meta, one, two, prints, topology -> tuple(meta.id, meta, one, two, prints, topology) }
        .join(records)
        .map { _id, meta, one, two, prints, topology, registration ->
            tuple(meta, one, two, "${prints} ${Fingerprint.of(topology)}".toString(), registration, topology)
        }
    FUSE_VIEWS(ready, steps.fuse_views)
    outcome = FUSE_VIEWS.out

    // channel: [ folder String below fusion/, file or store Path ], what tells of the registrations and fusions
    notes = REGISTER_VIEWS.out.metrics
        .mix(REGISTER_VIEWS.out.picture, outcome.metrics, outcome.picture)
        .map { meta, path -> tuple("diagnostics/${FusionPlan.time(meta.timepoint)}".toString(), path) }
        .mix(outcome.diagnostics.transpose().map { meta, path -> tuple("diagnostics/${meta.folder}".toString(), path) })
    tables = SMOOTH_PARAMETERS.out.table.mix(SMOOTH_PARAMETERS.out.lookup, SMOOTH_PARAMETERS.out.picture, SMOOTH_PARAMETERS.out.metrics)

    emit:
    fused = outcome.fused // channel: [ meta, store Path ]
    apart = outcome.apart // channel: [ meta, store Path ], pairs whose registration was refused
    registrations = registered.map { _meta, registration, _topology -> registration } // channel: Path
    tables = tables.map { _meta, path -> tuple('.', path) } // channel: [ folder, Path ]
    notes = notes
}
