// Finished slices to one volume: shifts cleaned, slices on one canvas, gaps filled or marked, neighbours registered, all stacked.

include { ANALYZE_ACQUISITION_ROTATION } from '../modules/alignment/analyze_acquisition_rotation'
include { ANALYZE_ROTATION_DRIFT } from '../modules/alignment/analyze_rotation_drift'
include { ANALYZE_SHIFTS } from '../modules/alignment/analyze_shifts'
include { ASSESS_QUALITY } from '../modules/alignment/assess_quality'
include { DETECT_REHOMING } from '../modules/alignment/detect_rehoming'
include { ALIGN_COMMON_SPACE } from '../modules/alignment/align_common_space'
include { INTERPOLATE_SLICE } from '../modules/alignment/interpolate_slice'
include { FINALISE_INTERPOLATION } from '../modules/alignment/finalise_interpolation'
include { REGISTER_PAIR } from '../modules/alignment/register_pair'
include { EXCLUDE_CLUSTERS } from '../modules/alignment/exclude_clusters'
include { EXPORT_MANUAL_ALIGN } from '../modules/alignment/export_manual_align'
include { REFINE_MANUAL_TRANSFORMS } from '../modules/alignment/refine_manual_transforms'
include { STACK_MOTOR_ONLY } from '../modules/alignment/stack_motor_only'
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
    diagnostics = Channel.empty()
    if (wanted.analyze_shifts) {
        ANALYZE_SHIFTS(tables.map { meta, shifts, _config -> tuple(meta, shifts) }, steps.analyze_shifts)
        records = records.mix(
            ANALYZE_SHIFTS.out.text.mix(ANALYZE_SHIFTS.out.filtered, ANALYZE_SHIFTS.out.metrics).map { _meta, file -> tuple('analyze_shifts', file) }
        )
        pictures = pictures.mix(ANALYZE_SHIFTS.out.plot.map { _meta, file -> tuple('analyze_shifts', file) })
    }
    if (wanted.analyze_acquisition_rotation || wanted.diagnostic_mode) {
        ANALYZE_ACQUISITION_ROTATION(tables.map { meta, shifts, _config -> tuple(meta, shifts) }, steps.analyze_acquisition_rotation)
        turned = ANALYZE_ACQUISITION_ROTATION.out
        records = records.mix(
            turned.table.mix(turned.figures, turned.text, turned.metrics).map { _meta, file -> tuple('diagnostics/acquisition_rotation', file) }
        )
        pictures = pictures.mix(turned.plot.map { _meta, file -> tuple('diagnostics/acquisition_rotation', file) })
    }

    // channel: [ meta Map(id), stores List of Path by id, fingerprints List ]
    together = slices
        .map { meta, slice, fingerprint -> tuple([id: meta.id], [slice, fingerprint]) }
        .groupTuple()
        .map { meta, found -> found.sort { one -> one[0].name }.with { all -> tuple(meta, all*.first(), all*.last()) } }
    // channel: [ meta Map(id), shifts Path, slice config Path or empty List ]
    assessed = tables
    if (wanted.auto_assess_quality) {
        ASSESS_QUALITY(together.join(tables.map { meta, _shifts, config -> tuple(meta, config) }), steps.assess_quality)
        assessed = tables.map { meta, shifts, _config -> tuple(meta, shifts) }.join(ASSESS_QUALITY.out.config)
        records = records.mix(ASSESS_QUALITY.out.config.mix(ASSESS_QUALITY.out.metrics).map { _meta, file -> tuple('auto_assess_quality', file) })
        pictures = pictures.mix(ASSESS_QUALITY.out.preview.map { _meta, file -> tuple('auto_assess_quality', file) })
    }
    // channel: [ meta Map(id), shifts Path, slice config Path or empty List ]
    cleaned = assessed
    if (wanted.detect_rehoming) {
        DETECT_REHOMING(assessed, steps.detect_rehoming)
        cleaned = DETECT_REHOMING.out.shifts.join(DETECT_REHOMING.out.config)
        records = records.mix(
            DETECT_REHOMING.out.shifts
                .mix(DETECT_REHOMING.out.report, DETECT_REHOMING.out.metrics)
                .map { _meta, file -> tuple('detect_rehoming_events', file) }
        )
        pictures = pictures.mix(DETECT_REHOMING.out.pictures.transpose().map { _meta, file -> tuple('detect_rehoming_events', file) })
    }

    ALIGN_COMMON_SPACE(together.join(cleaned), steps.align_common_space)
    records = records.mix(
        ALIGN_COMMON_SPACE.out.positions.mix(ALIGN_COMMON_SPACE.out.metrics).map { _meta, file -> tuple('bring_to_common_space', file) }
    )
    pictures = pictures.mix(ALIGN_COMMON_SPACE.out.pictures.transpose().map { _meta, file -> tuple('common_space_previews', file) })
    stores = ALIGN_COMMON_SPACE.out.slices.transpose().map { _meta, store -> tuple('bring_to_common_space', store) }

    // channel: [ meta Map(id), stores List of Path ]
    aligned = ALIGN_COMMON_SPACE.out.slices.map { meta, found -> tuple(meta, [found].flatten()) }
    if (wanted.motor_only_stack || wanted.diagnostic_mode) {
        STACK_MOTOR_ONLY(withFingerprints(aligned), steps.stack_motor_only)
        plain = STACK_MOTOR_ONLY.out
        diagnostics = diagnostics.mix(plain.volume.map { _meta, store -> tuple('diagnostics/motor_only_stack', store) })
        records = records.mix(plain.metrics.map { _meta, file -> tuple('diagnostics/motor_only_stack', file) })
        pictures = pictures.mix(plain.preview.map { _meta, file -> tuple('diagnostics/motor_only_stack', file) })
    }
    // Real slices only: what was made from its neighbours tells nothing of where it lay.
    // channel: [ meta Map(id), folders List of Path ]
    folders = aligned.map { meta, _found -> tuple(meta, []) }
    linked = folders
    if (wanted.apply_pairwise_transforms) {
        // channel: [ meta Map(id, slice: the second, pair, neighbours Boolean), fixed Path, moving Path, fingerprints ]
        pairs = aligned.flatMap { meta, found ->
            SliceStores.pairs(found).collect { name, fixed, moving ->
                tuple([id: meta.id, slice: name, pair: name, neighbours: true], fixed, moving, fingerprints([fixed, moving]))
            }
        }
        // Slices with others between them: they keep errors of neighbours from adding up. Only where both show the same depths.
        far = aligned.flatMap { meta, found ->
            SliceStores.farPairs(found, wanted.stack_pair_reach as int).collect { name, fixed, moving ->
                tuple([id: meta.id, slice: name, pair: name, neighbours: false], fixed, moving, fingerprints([fixed, moving]))
            }
        }
        REGISTER_PAIR(pairs.mix(far), steps.register_pair)
        records = records.mix(
            REGISTER_PAIR.out.pair.mix(REGISTER_PAIR.out.metrics).map { _meta, file -> tuple('register_pairwise', file) }
        )
        pictures = pictures.mix(REGISTER_PAIR.out.preview.map { _meta, file -> tuple('previews/register_pairwise', file) })
        linked = collected(REGISTER_PAIR.out.pair, aligned)
        folders = collected(REGISTER_PAIR.out.pair.filter { meta, _folder -> meta.neighbours }, aligned)
        if (wanted.analyze_rotation_drift || wanted.diagnostic_mode) {
            ANALYZE_ROTATION_DRIFT(withFingerprints(folders), steps.analyze_rotation_drift)
            drift = ANALYZE_ROTATION_DRIFT.out
            records = records.mix(drift.table.mix(drift.text, drift.metrics).map { _meta, file -> tuple('diagnostics/rotation_analysis', file) })
            pictures = pictures.mix(drift.plot.map { _meta, file -> tuple('diagnostics/rotation_analysis', file) })
        }
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

    if (wanted.export_manual_align) {
        EXPORT_MANUAL_ALIGN(
            aligned.join(folders).map { meta, found, registered -> tuple(meta, found, registered, fingerprints(found + registered)) },
            steps.export_manual_align,
        )
        exported = EXPORT_MANUAL_ALIGN.out
        diagnostics = diagnostics.mix(exported.package_folder.map { _meta, folder -> tuple('export_manual_align', folder) })
        records = records.mix(exported.metrics.map { _meta, file -> tuple('export_manual_align', file) })
        pictures = pictures.mix(exported.preview.map { _meta, file -> tuple('export_manual_align', file) })
    }
    by_hand = manual
    if (manual && wanted.refine_manual_transforms) {
        REFINE_MANUAL_TRANSFORMS(withFingerprints(aligned), manual, steps.refine_manual_transforms)
        refined = REFINE_MANUAL_TRANSFORMS.out
        by_hand = refined.folder.map { _meta, folder -> folder }.first()
        records = records.mix(refined.table.mix(refined.metrics).map { _meta, file -> tuple('refine_manual_transforms', file) })
        pictures = pictures.mix(refined.pictures.transpose().map { _meta, file -> tuple('refine_manual_transforms', file) })
    }
    // channel: [ meta Map(id), slice config Path ]
    decided = FINALISE_INTERPOLATION.out.config
    if (wanted.auto_exclude_enabled && wanted.apply_pairwise_transforms) {
        // A single slice has no pair that could tell of it.
        judged = folders.join(decided)
        EXCLUDE_CLUSTERS(
            judged.filter { _meta, registered, _config -> registered }.map { meta, registered, config ->
                tuple(meta, registered, config, fingerprints(registered))
            },
            steps.exclude_clusters,
        )
        alone = judged.filter { _meta, registered, _config -> !registered }.map { meta, _registered, config -> tuple(meta, config) }
        decided = EXCLUDE_CLUSTERS.out.config.mix(alone)
        records = records.mix(
            EXCLUDE_CLUSTERS.out.config.mix(EXCLUDE_CLUSTERS.out.pairs, EXCLUDE_CLUSTERS.out.metrics).map { _meta, file -> tuple('auto_exclude_slices', file) }
        )
        pictures = pictures.mix(EXCLUDE_CLUSTERS.out.preview.map { _meta, file -> tuple('auto_exclude_slices', file) })
    }

    // channel: [ meta Map(id), stores List of Path by id, pair folders List of Path, slice config Path, fingerprints String ]
    ready = aligned
        .join(linked)
        .join(decided)
        .map { meta, found, registered, config ->
            tuple(meta, found, registered, config, fingerprints(found + registered))
        }
    STACK_SLICES(ready, by_hand, steps.stack_slices)
    stacked = STACK_SLICES.out

    emit:
    volume = stacked.volume // channel: [ meta Map(id), volume Path ]
    published = stacked.volume
        .mix(stacked.archive, stacked.pictures.transpose(), stacked.tables.transpose(), stacked.metrics)
        .map { _meta, path -> tuple('stack', path) }
        .mix(diagnostics) // channel: [ folder String, path ]
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

def fingerprints(paths) {
    return paths.collect { path -> Fingerprint.of(path) }.join(' ')
}

// [ meta, paths List ] -> [ meta, paths List, fingerprints String ]
def withFingerprints(found) {
    return found.map { meta, paths -> tuple(meta, paths, fingerprints(paths)) }
}
