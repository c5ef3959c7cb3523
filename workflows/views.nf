// The views of a multi-view recording: found, and corrected one by one, each with its own mask or one that views share.

include { DISCOVER_VIEWS } from '../modules/fusion/discover_views'
include { CORRECT_VIEW } from '../modules/fusion/correct_view'
include { CORRECT_VIEW as CORRECT_MASKED_VIEW } from '../modules/fusion/correct_view'
include { JOIN_MASKS } from '../modules/fusion/join_masks'

workflow VIEWS {
    take:
    recordings // channel: [ meta Map(id String), recording Path of the folder with SPM00 inside, fingerprint String ]
    steps // Map: name of a step -> Map(flags String, code String)
    mode // Integer: segment_mode, 0 no masks, 1 each view's own, 2 the global mask alone, 3 the global mask

    main:
    DISCOVER_VIEWS(recordings, steps.discover_views)
    // channel: [ meta Map(id of the recording), FusionPlan ]
    plans = DISCOVER_VIEWS.out.plan.map { meta, file -> tuple(meta, new FusionPlan(file)) }
    // channel: [ meta Map(id, timepoint, camera, channel), view JSON Path, recording Path, fingerprint, masks List ]
    views = DISCOVER_VIEWS.out.views
        .join(recordings)
        .flatMap { _meta, files, recording, _fingerprint -> FusionPlan.views(files instanceof List ? files : [files], recording) }
        .map { meta, file, recording, fingerprint -> tuple(meta, file, recording, fingerprint, []) }
    CORRECT_VIEW(views, steps.correct_view)

    // Orthogonal cameras see the sample in frames of their own: masks are joined for those that face each other.
    // channel: [ meta Map(id, the name of the mask), masks List of Path in the order of their names, fingerprints String ]
    masks = CORRECT_VIEW.out.mask
        .combine(plans.map { _meta, plan -> plan })
        .map { meta, mask, plan -> tuple(plan.globalMask(meta.camera), [meta.id, mask]) }
        .groupTuple()
        .map { name, found -> tuple(name, found.sort(false) { item -> item[0] }*.last()) }
        .map { name, found -> tuple([id: name], found, found.collect { path -> Fingerprint.of(path) }.join(' ')) }
    JOIN_MASKS(masks, steps.join_masks)

    // channel: [ key List(timepoint, camera), channel Integer, store Path ]
    stores = CORRECT_VIEW.out.view.map { meta, store -> tuple([meta.timepoint, meta.camera], meta.channel, store) }
    // channel: views, each with the channels whose joined mask it takes
    grouped = views
        .combine(plans.map { _meta, plan -> plan })
        .map { meta, file, recording, fingerprint, _masks, plan -> tuple(meta, file, recording, fingerprint, mode == 1 ? plan.maskChannels(meta.channel) : []) }
    // channel: like views, with the masks of the reference channels of the same camera and time point
    of_groups = grouped
        .filter { _meta, _file, _recording, _fingerprint, channels -> channels }
        .map { meta, file, recording, fingerprint, channels -> tuple([meta.timepoint, meta.camera], meta, file, recording, fingerprint, channels) }
        .combine(stores.groupTuple(), by: 0)
        .map { _key, meta, file, recording, fingerprint, channels, present, found ->
            def chosen = [present, found].transpose().findAll { pair -> pair[0] in channels }.sort { pair -> pair[0] }.collect { pair -> pair[1] }
            tuple(meta, file, recording, "${fingerprint} ${chosen.collect { path -> Fingerprint.of(path) }.join(' ')}".toString(), chosen)
        }
        .filter { _meta, _file, _recording, _fingerprint, chosen -> chosen }
    // channel: like views, with the global mask
    of_global = views
        .filter { mode == 3 }
        .combine(plans.map { _meta, plan -> plan })
        .map { meta, file, recording, fingerprint, _masks, plan -> tuple(plan.globalMask(meta.camera), meta, file, recording, fingerprint) }
        .combine(JOIN_MASKS.out.mask.map { meta, mask -> tuple(meta.id, mask, Fingerprint.of(mask)) }, by: 0)
        .map { _name, meta, file, recording, fingerprint, mask, print -> tuple(meta, file, recording, "${fingerprint} ${print}".toString(), [mask]) }
    CORRECT_MASKED_VIEW(of_groups.mix(of_global), steps.correct_view)

    // A view that takes a mask of others replaces the one with its own.
    replaced = grouped.map { meta, _file, _recording, _fingerprint, channels -> tuple(meta, channels as boolean) }
    single = CORRECT_VIEW.out.view.join(replaced).filter { _meta, _store, again -> !again }.map { meta, store, _again -> tuple(meta, store) }
    copies = CORRECT_VIEW.out.copy.join(replaced).filter { _meta, _copy, again -> !again }.map { meta, copy, _again -> tuple(meta, copy) }
    finished = single.mix(CORRECT_MASKED_VIEW.out.view)

    // channel: [ meta, Path ], metrics and pictures of views
    notes = CORRECT_VIEW.out.metrics.mix(CORRECT_VIEW.out.picture)
    again = CORRECT_MASKED_VIEW.out.metrics.mix(CORRECT_MASKED_VIEW.out.picture)
    told = notes
        .combine(replaced, by: 0)
        .filter { _meta, _file, twice -> mode != 3 && !twice }
        .map { meta, file, _twice -> tuple(meta, file) }
        .mix(again)
    // channel: [ folder String below fusion/, file or store Path ]
    files = finished
        .mix(copies, CORRECT_MASKED_VIEW.out.copy)
        .map { _meta, path -> tuple('corrected', path) }
        .mix(
            told.map { meta, path -> tuple("diagnostics/${FusionPlan.time(meta.timepoint)}".toString(), path) },
            JOIN_MASKS.out.mask.mix(JOIN_MASKS.out.metrics, JOIN_MASKS.out.picture).map { _meta, path -> tuple('corrected', path) },
            DISCOVER_VIEWS.out.table.mix(DISCOVER_VIEWS.out.metrics).map { _meta, path -> tuple('.', path) },
        )

    emit:
    plans = plans // channel: [ meta Map(id), FusionPlan ]
    views = finished.map { meta, store -> tuple(meta, store, Fingerprint.of(store)) } // channel: [ meta, store Path, fingerprint ]
    published = files
}
