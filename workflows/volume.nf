// Finished slices to one volume: shifts cleaned, slices on one canvas, gaps filled or marked, neighbours registered, all stacked.

include { ANALYZE_SHIFTS } from '../modules/alignment/analyze_shifts'
include { DETECT_REHOMING } from '../modules/alignment/detect_rehoming'
include { ALIGN_COMMON_SPACE } from '../modules/alignment/align_common_space'
include { INTERPOLATE_SLICE } from '../modules/alignment/interpolate_slice'
include { FINALISE_INTERPOLATION } from '../modules/alignment/finalise_interpolation'
include { REGISTER_PAIR } from '../modules/alignment/register_pair'
include { STACK_SLICES } from '../modules/alignment/stack_slices'

workflow VOLUME {
    take:
    slices // channel: [ meta Map(id, slice String), slice Path, fingerprint String ]
    tables // channel: [ meta Map(id), shifts Path, slice config Path or empty List ]
    steps // Map: name of a step -> Map(flags String, code String)
    wanted // Map: name of a switch -> Boolean
    manual // Path of a folder of pairs aligned by hand, or an empty List

    main:
    // channel: [ folder String below reconstruct/, file or store Path ]
    records = Channel.empty()
    pictures = Channel.empty()
    if (wanted.analyze_shifts) {
        ANALYZE_SHIFTS(tables.map { meta, shifts, _config -> tuple(meta, shifts) }, steps.analyze_shifts)
        records = records.mix(
            ANALYZE_SHIFTS.out.text.mix(ANALYZE_SHIFTS.out.filtered, ANALYZE_SHIFTS.out.metrics).map { _meta, file -> tuple('analyze_shifts', file) }
        )
        pictures = pictures.mix(ANALYZE_SHIFTS.out.plot.map { _meta, file -> tuple('analyze_shifts', file) })
    }
    // channel: [ meta Map(id), shifts Path, slice config Path or empty List ]
    cleaned = tables
    if (wanted.detect_rehoming) {
        DETECT_REHOMING(tables, steps.detect_rehoming)
        cleaned = DETECT_REHOMING.out.shifts.join(DETECT_REHOMING.out.config)
        records = records.mix(
            DETECT_REHOMING.out.shifts
                .mix(DETECT_REHOMING.out.report, DETECT_REHOMING.out.metrics)
                .map { _meta, file -> tuple('detect_rehoming_events', file) }
        )
        pictures = pictures.mix(DETECT_REHOMING.out.pictures.transpose().map { _meta, file -> tuple('detect_rehoming_events', file) })
    }

    // channel: [ meta Map(id), stores List of Path by id, fingerprints List ]
    together = slices
        .map { meta, slice, fingerprint -> tuple([id: meta.id], [slice, fingerprint]) }
        .groupTuple()
        .map { meta, found -> found.sort { one -> one[0].name }.with { all -> tuple(meta, all*.first(), all*.last()) } }
    ALIGN_COMMON_SPACE(together.join(cleaned), steps.align_common_space)
    records = records.mix(
        ALIGN_COMMON_SPACE.out.positions.mix(ALIGN_COMMON_SPACE.out.metrics).map { _meta, file -> tuple('bring_to_common_space', file) }
    )
    pictures = pictures.mix(ALIGN_COMMON_SPACE.out.pictures.transpose().map { _meta, file -> tuple('common_space_previews', file) })
    stores = ALIGN_COMMON_SPACE.out.slices.transpose().map { _meta, store -> tuple('bring_to_common_space', store) }

    // channel: [ meta Map(id), stores List of Path ]
    aligned = ALIGN_COMMON_SPACE.out.slices.map { meta, found -> tuple(meta, [found].flatten()) }
    // Real slices only: what was made from its neighbours tells nothing of where it lay.
    // channel: [ meta Map(id), folders List of Path ]
    folders = aligned.map { meta, _found -> tuple(meta, []) }
    if (wanted.apply_pairwise_transforms) {
        // channel: [ meta Map(id, slice: the second, pair), fixed Path, moving Path, fingerprints ]
        pairs = aligned.flatMap { meta, found ->
            SliceStores.pairs(found).collect { name, fixed, moving ->
                tuple([id: meta.id, slice: name, pair: name], fixed, moving, [fixed, moving].collect { path -> Fingerprint.of(path) }.join(' '))
            }
        }
        REGISTER_PAIR(pairs, steps.register_pair)
        records = records.mix(
            REGISTER_PAIR.out.pair.mix(REGISTER_PAIR.out.metrics).map { _meta, file -> tuple('register_pairwise', file) }
        )
        pictures = pictures.mix(REGISTER_PAIR.out.preview.map { _meta, file -> tuple('previews/register_pairwise', file) })
        folders = collected(REGISTER_PAIR.out.pair, aligned)
    }

    if (wanted.interpolate_missing_slices) {
        // channel: [ meta Map(id, slice: the missing one), before Path, after Path, fingerprint ]
        gaps = aligned.flatMap { meta, found ->
            SliceStores.gaps(found).collect { name, before, after ->
                tuple([id: meta.id, slice: name], before, after, [before, after].collect { path -> Fingerprint.of(path) }.join(' '))
            }
        }
        INTERPOLATE_SLICE(gaps, steps.interpolate_slice)
        records = records.mix(
            INTERPOLATE_SLICE.out.manifest.map { _meta, file -> tuple('interpolate_missing_slice/manifests', file) },
            INTERPOLATE_SLICE.out.diagnostics.mix(INTERPOLATE_SLICE.out.metrics).map { _meta, file -> tuple('interpolate_missing_slice', file) },
        )
        pictures = pictures.mix(INTERPOLATE_SLICE.out.pictures.transpose().map { _meta, file -> tuple('interpolate_missing_slice', file) })
        stores = stores.mix(INTERPOLATE_SLICE.out.slice.map { _meta, store -> tuple('interpolate_missing_slice', store) })
        manifests = collected(INTERPOLATE_SLICE.out.manifest, aligned)
        aligned = aligned
            .join(collected(INTERPOLATE_SLICE.out.slice, aligned))
            .map { meta, found, made -> tuple(meta, SliceStores.sorted(found + made)) }
    } else {
        manifests = aligned.map { meta, _found -> tuple(meta, []) }
    }
    FINALISE_INTERPOLATION(
        cleaned
            .map { meta, _shifts, config -> tuple(meta, config) }
            .join(ALIGN_COMMON_SPACE.out.positions)
            .join(manifests),
        steps.finalise_interpolation,
    )
    records = records.mix(
        FINALISE_INTERPOLATION.out.config.map { _meta, file -> tuple('.', file) },
        FINALISE_INTERPOLATION.out.metrics.map { _meta, file -> tuple('finalise_interpolation', file) },
    )

    // channel: [ meta Map(id), stores List of Path by id, pair folders List of Path, slice config Path, fingerprints String ]
    ready = aligned
        .join(folders)
        .join(FINALISE_INTERPOLATION.out.config)
        .map { meta, found, registered, config ->
            tuple(meta, found, registered, config, (found + registered).collect { path -> Fingerprint.of(path) }.join(' '))
        }
    STACK_SLICES(ready, manual, steps.stack_slices)
    stacked = STACK_SLICES.out

    emit:
    volume = stacked.volume // channel: [ meta Map(id), volume Path ]
    published = stacked.volume
        .mix(stacked.archive, stacked.pictures.transpose(), stacked.tables.transpose(), stacked.metrics)
        .map { _meta, path -> tuple('stack', path) } // channel: [ folder String, path ]
    records = records // channel: [ folder String, metrics or table Path ]
    pictures = pictures // channel: [ folder String, png Path ]
    stores = stores // channel: [ folder String, intermediate store Path ]
}

// [ meta Map(id, …), file Path ] -> [ meta Map(id), files List of Path by name ], an empty list for subjects without any
def collected(found, subjects) {
    return subjects
        .map { meta, _stores -> tuple(meta, null) }
        .mix(found.map { meta, file -> tuple([id: meta.id], file) })
        .groupTuple()
        .map { meta, files -> tuple(meta, files.findAll { file -> file != null }.sort(false) { file -> file.name }) }
}
