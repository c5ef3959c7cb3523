// Slices of serial-section OCT to one volume: shifts without glitches, one canvas, gaps filled or marked.

include { ANALYZE_SHIFTS } from '../modules/alignment/analyze_shifts'
include { DETECT_REHOMING } from '../modules/alignment/detect_rehoming'
include { ALIGN_COMMON_SPACE } from '../modules/alignment/align_common_space'
include { INTERPOLATE_SLICE } from '../modules/alignment/interpolate_slice'
include { FINALISE_INTERPOLATION } from '../modules/alignment/finalise_interpolation'

workflow VOLUME {
    take:
    slices // channel: [ meta Map(id, slice String), store Path, fingerprint String ]
    shifts // channel: [ meta Map(id), shifts_xy.csv Path ]
    configs // channel: [ meta Map(id), slice_config.csv Path, or an empty List ]
    steps // Map: name of a step -> Map(flags String, code String)
    wanted // Map: analyze_shifts, detect_rehoming, interpolate_missing_slices, publish_intermediates -> Boolean

    main:
    ANALYZE_SHIFTS(shifts.filter { wanted.analyze_shifts }, steps.analyze_shifts)
    DETECT_REHOMING(shifts.join(configs).filter { wanted.detect_rehoming }, steps.detect_rehoming)

    // channel: [ meta Map(id), shifts Path, config Path or empty List ]
    tables = wanted.detect_rehoming ? DETECT_REHOMING.out.shifts.join(DETECT_REHOMING.out.config) : shifts.join(configs)

    // channel: [ meta Map(id), stores List of Path in the order of their names, fingerprints String, shifts, config ]
    together = slices
        .map { meta, store, fingerprint -> tuple([id: meta.id], [store, fingerprint]) }
        .groupTuple()
        .map { meta, pairs ->
            def sorted = pairs.sort(false) { pair -> pair[0].name }
            tuple(meta, sorted.collect { pair -> pair[0] }, sorted.collect { pair -> pair[1] }.join(' '))
        }
        .join(tables)
    ALIGN_COMMON_SPACE(together, steps.align_common_space)

    // channel: [ meta Map(id, slice), store Path, fingerprint String ]
    common = ALIGN_COMMON_SPACE.out.slices
        .transpose()
        .map { meta, store -> tuple([id: meta.id, slice: store.name.tokenize('_')[1]], store, Fingerprint.of(store)) }

    // channel: [ meta Map(id, slice: the missing one), before Path, after Path, fingerprint String ]
    gaps = common
        .map { meta, store, fingerprint -> tuple(meta.id, [meta.slice.substring(1) as long, store, fingerprint]) }
        .groupTuple()
        .flatMap { id, found ->
            def sorted = found.sort(false) { slice -> slice[0] }
            def pairs = [sorted.dropRight(1), sorted.drop(1)].transpose()
            pairs
                .findAll { before, after -> after[0] - before[0] == 2 }
                .collect { before, after ->
                    tuple([id: id, slice: RawTiles.name(before[0] + 1)], before[1], after[1], "${before[2]} ${after[2]}".toString())
                }
        }
    INTERPOLATE_SLICE(gaps.filter { wanted.interpolate_missing_slices }, steps.interpolate_slice)
    interpolated = INTERPOLATE_SLICE.out.slice.map { meta, store -> tuple(meta, store, Fingerprint.of(store)) }

    // channel: [ meta Map(id), manifests List of Path ]
    manifests = INTERPOLATE_SLICE.out.manifest
        .map { meta, manifest -> tuple([id: meta.id], manifest) }
        .groupTuple()
        .map { meta, paths -> tuple(meta, paths.sort(false) { path -> path.name }) }
    final_tables = tables
        .map { meta, _shifts, config -> tuple(meta, config) }
        .join(ALIGN_COMMON_SPACE.out.positions)
        .join(manifests, remainder: true)
        .filter { row -> row[2] }
        .map { meta, config, positions, paths -> tuple(meta, config, positions, paths ?: []) }
    FINALISE_INTERPOLATION(final_tables, steps.finalise_interpolation)

    // channel: [ folder String below the output directory, file or store Path ]
    files = ANALYZE_SHIFTS.out.text
        .mix(ANALYZE_SHIFTS.out.plot, ANALYZE_SHIFTS.out.filtered)
        .map { _meta, path -> tuple('reconstruct/analyze_shifts', path) }
        .mix(
            DETECT_REHOMING.out.shifts
                .mix(DETECT_REHOMING.out.config, DETECT_REHOMING.out.report, DETECT_REHOMING.out.pictures.transpose())
                .map { _meta, path -> tuple('reconstruct/detect_rehoming_events', path) },
            ALIGN_COMMON_SPACE.out.positions.map { _meta, path -> tuple('reconstruct/bring_to_common_space', path) },
            ALIGN_COMMON_SPACE.out.pictures.transpose().map { _meta, path -> tuple('reconstruct/common_space_previews', path) },
            INTERPOLATE_SLICE.out.slice
                .mix(INTERPOLATE_SLICE.out.diagnostics, INTERPOLATE_SLICE.out.pictures.transpose())
                .map { _meta, path -> tuple('reconstruct/interpolate_missing_slice', path) },
            INTERPOLATE_SLICE.out.manifest.map { _meta, path -> tuple('reconstruct/interpolate_missing_slice/manifests', path) },
            FINALISE_INTERPOLATION.out.config.map { _meta, path -> tuple('reconstruct', path) },
            common
                .filter { wanted.publish_intermediates }
                .map { _meta, store, _fingerprint -> tuple('reconstruct/bring_to_common_space', store) },
        )

    emit:
    slices = common.mix(interpolated) // channel: [ meta Map(id, slice), store Path, fingerprint ]
    config = FINALISE_INTERPOLATION.out.config // channel: [ meta Map(id), slice_config_final.csv Path ]
    metrics = ANALYZE_SHIFTS.out.metrics.mix(
        DETECT_REHOMING.out.metrics,
        ALIGN_COMMON_SPACE.out.metrics,
        INTERPOLATE_SLICE.out.metrics,
        FINALISE_INTERPOLATION.out.metrics,
    ) // channel: [ meta Map(id, and slice for one slice), json Path ]
    pictures = DETECT_REHOMING.out.pictures
        .mix(ALIGN_COMMON_SPACE.out.pictures, INTERPOLATE_SLICE.out.pictures)
        .transpose() // channel: [ meta Map(id, and slice for one slice), png Path ]
    published = files
}
