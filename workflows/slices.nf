// Mosaics of serial sections to finished slices: resampled, evenly lit, stitched, cropped to the cut face, on one intensity scale.

include { RESAMPLE_MOSAIC_GRID } from '../modules/acquisition/resample_mosaic_grid'
include { FIX_FOCAL_CURVATURE } from '../modules/illumination/fix_focal_curvature'
include { FIX_ILLUMINATION } from '../modules/illumination/fix_illumination'
include { ESTIMATE_GLOBAL_TRANSFORM } from '../modules/stitching/estimate_global_transform'
include { COMPARE_STITCHING } from '../modules/stitching/compare_stitching'
include { STITCH_MOTOR_ONLY } from '../modules/stitching/stitch_motor_only'
include { STITCH_SLICE } from '../modules/stitching/stitch_slice'
include { CORRECT_BEAM_PROFILE } from '../modules/intensity/correct_beam_profile'
include { CROP_INTERFACE } from '../modules/intensity/crop_interface'
include { COMPENSATE_ATTENUATION } from '../modules/intensity/compensate_attenuation'
include { MEASURE_SLICE } from '../modules/intensity/measure_slice'
include { MATCH_SLICES } from '../modules/intensity/match_slices'
include { NORMALIZE_SLICE } from '../modules/intensity/normalize_slice'

// [ meta, store Path ] -> [ meta, store Path, fingerprint String ]
def withFingerprint(stores) {
    return stores.map { meta, store -> tuple(meta, store, Fingerprint.of(store)) }
}

workflow SLICES {
    take:
    mosaics // channel: [ meta Map(id, slice String), mosaic Path, fingerprint String ]
    steps // Map: name of a step -> Map(flags String, code String)
    device // String: auto, cpu, cuda or mps
    wanted // Map: name of a switch -> Boolean

    main:
    RESAMPLE_MOSAIC_GRID(mosaics, steps.resample_mosaic_grid, device)
    // channel: [ folder String below reconstruct/, file or store Path ]
    records = RESAMPLE_MOSAIC_GRID.out.metrics.map { _meta, file -> tuple('resample_mosaic_grid', file) }
    pictures = RESAMPLE_MOSAIC_GRID.out.preview.map { _meta, file -> tuple('previews/resample_mosaic_grid', file) }
    stores = RESAMPLE_MOSAIC_GRID.out.mosaic.map { _meta, store -> tuple('resample_mosaic_grid', store) }
    // channel: [ meta Map(id, slice), mosaic Path, fingerprint ]
    tiles = withFingerprint(RESAMPLE_MOSAIC_GRID.out.mosaic)

    if (wanted.fix_curvature_enabled) {
        FIX_FOCAL_CURVATURE(tiles, steps.fix_focal_curvature, device)
        records = records.mix(FIX_FOCAL_CURVATURE.out.metrics.map { _meta, file -> tuple('fix_focal_curvature', file) })
        pictures = pictures.mix(FIX_FOCAL_CURVATURE.out.preview.map { _meta, file -> tuple('previews/fix_focal_curvature', file) })
        stores = stores.mix(FIX_FOCAL_CURVATURE.out.mosaic.map { _meta, store -> tuple('fix_focal_curvature', store) })
        tiles = withFingerprint(FIX_FOCAL_CURVATURE.out.mosaic)
    }
    if (wanted.fix_illum_enabled) {
        FIX_ILLUMINATION(tiles, steps.fix_illumination, device)
        records = records.mix(FIX_ILLUMINATION.out.metrics.map { _meta, file -> tuple('fix_illumination', file) })
        pictures = pictures.mix(FIX_ILLUMINATION.out.preview.map { _meta, file -> tuple('previews/fix_illumination', file) })
        stores = stores.mix(FIX_ILLUMINATION.out.mosaic.map { _meta, store -> tuple('fix_illumination', store) })
        tiles = withFingerprint(FIX_ILLUMINATION.out.mosaic)
    }

    // channel: [ meta Map(id, slice), mosaic Path, fingerprint, transform Path or empty List ]
    placed = tiles.map { meta, mosaic, fingerprint -> tuple(meta, mosaic, fingerprint, []) }
    // The grid of all slices together: for every slice, or for those that show too few overlaps themselves.
    if (wanted.stitch_global_transform || (wanted.stitch_min_pairs as int) > 0) {
        // channel: [ meta Map(id), mosaics List of Path by name, fingerprints List ]
        together = tiles
            .map { meta, mosaic, fingerprint -> tuple([id: meta.id], [mosaic, fingerprint]) }
            .groupTuple()
            .map { meta, found -> found.sort { one -> one[0].name }.with { all -> tuple(meta, all*.first(), all*.last()) } }
        ESTIMATE_GLOBAL_TRANSFORM(together, steps.estimate_global_transform)
        records = records.mix(ESTIMATE_GLOBAL_TRANSFORM.out.metrics.map { _meta, file -> tuple('stitch_3d_with_refinement', file) })
        placed = tiles
            .map { meta, mosaic, fingerprint -> tuple(meta.id, meta, mosaic, fingerprint) }
            .combine(ESTIMATE_GLOBAL_TRANSFORM.out.transform.map { meta, file -> tuple(meta.id, file) }, by: 0)
            .map { _id, meta, mosaic, fingerprint, transform -> tuple(meta, mosaic, fingerprint, transform) }
    }
    STITCH_SLICE(placed, steps.stitch_slice + [fallback: !wanted.stitch_global_transform])
    records = records.mix(
        STITCH_SLICE.out.metrics.map { _meta, file -> tuple('stitch_3d_with_refinement', file) },
        STITCH_SLICE.out.tables.transpose().map { _meta, file -> tuple('stitch_3d_with_refinement', file) },
    )
    pictures = pictures.mix(STITCH_SLICE.out.preview.map { _meta, file -> tuple('previews/stitched_slices', file) })
    stores = stores.mix(STITCH_SLICE.out.slice.map { _meta, store -> tuple('stitch_3d_with_refinement', store) })
    // channel: [ meta Map(id, slice), slice Path, fingerprint ]
    slices = withFingerprint(STITCH_SLICE.out.slice)
    diagnostics = Channel.empty()
    if (wanted.motor_only_stitch || wanted.compare_stitching || wanted.diagnostic_mode) {
        STITCH_MOTOR_ONLY(tiles, steps.stitch_motor_only)
        plain = STITCH_MOTOR_ONLY.out
        diagnostics = plain.slice.map { _meta, store -> tuple('diagnostics/motor_only_stitch', store) }
        records = records.mix(plain.metrics.map { _meta, file -> tuple('diagnostics/motor_only_stitch', file) })
        pictures = pictures.mix(plain.preview.map { _meta, file -> tuple('diagnostics/motor_only_stitch', file) })
    }
    if (wanted.compare_stitching || wanted.diagnostic_mode) {
        both = STITCH_SLICE.out.slice.join(STITCH_MOTOR_ONLY.out.slice).map { meta, refined, motor ->
            tuple(meta, refined, motor, [refined, motor].collect { store -> Fingerprint.of(store) })
        }
        COMPARE_STITCHING(both, steps.compare_stitching)
        compared = COMPARE_STITCHING.out
        records = records.mix(compared.table.mix(compared.metrics).map { _meta, file -> tuple('diagnostics/stitch_comparison', file) })
        pictures = pictures.mix(compared.preview.map { _meta, file -> tuple('diagnostics/stitch_comparison', file) })
    }

    if (wanted.compensate_psf_enabled) {
        CORRECT_BEAM_PROFILE(slices, steps.correct_beam_profile)
        records = records.mix(CORRECT_BEAM_PROFILE.out.metrics.map { _meta, file -> tuple('beam_profile_correction', file) })
        pictures = pictures.mix(CORRECT_BEAM_PROFILE.out.preview.map { _meta, file -> tuple('previews/beam_profile_correction', file) })
        stores = stores.mix(CORRECT_BEAM_PROFILE.out.slice.map { _meta, store -> tuple('beam_profile_correction', store) })
        slices = withFingerprint(CORRECT_BEAM_PROFILE.out.slice)
    }
    CROP_INTERFACE(slices, steps.crop_interface)
    records = records.mix(CROP_INTERFACE.out.metrics.map { _meta, file -> tuple('crop_interface', file) })
    pictures = pictures.mix(CROP_INTERFACE.out.preview.map { _meta, file -> tuple('previews/crop_interface', file) })
    stores = stores.mix(CROP_INTERFACE.out.slice.map { _meta, store -> tuple('crop_interface', store) })
    slices = withFingerprint(CROP_INTERFACE.out.slice)

    if (wanted.compensate_attenuation_enabled) {
        COMPENSATE_ATTENUATION(slices, steps.compensate_attenuation, device)
        records = records.mix(COMPENSATE_ATTENUATION.out.metrics.map { _meta, file -> tuple('compensate_attenuation', file) })
        pictures = pictures.mix(COMPENSATE_ATTENUATION.out.preview.map { _meta, file -> tuple('previews/compensate_attenuation', file) })
        stores = stores.mix(COMPENSATE_ATTENUATION.out.slice.map { _meta, store -> tuple('compensate_attenuation', store) })
        slices = withFingerprint(COMPENSATE_ATTENUATION.out.slice)
    }

    MEASURE_SLICE(slices, steps.measure_slice)
    // channel: [ meta Map(id), levels List of Path by name ]
    levels = MEASURE_SLICE.out.levels
        .map { meta, file -> tuple([id: meta.id], file) }
        .groupTuple()
        .map { meta, files -> tuple(meta, files.sort(false) { file -> file.name }) }
    MATCH_SLICES(levels, steps.match_slices)
    // channel: [ meta Map(id, slice), slice Path, fingerprint, levels Path, factors Path ]
    measured = slices
        .join(MEASURE_SLICE.out.levels)
        .map { meta, slice, fingerprint, file -> tuple(meta.id, meta, slice, fingerprint, file) }
        .combine(MATCH_SLICES.out.factors.map { meta, file -> tuple(meta.id, file) }, by: 0)
        .map { _id, meta, slice, fingerprint, file, factors -> tuple(meta, slice, fingerprint, file, factors) }
    NORMALIZE_SLICE(measured, steps.normalize_slice)
    records = records.mix(
        MEASURE_SLICE.out.metrics.map { _meta, file -> tuple('normalize', file) },
        MATCH_SLICES.out.metrics.map { _meta, file -> tuple('normalize', file) },
        MATCH_SLICES.out.factors.map { _meta, file -> tuple('normalize', file) },
        NORMALIZE_SLICE.out.metrics.map { _meta, file -> tuple('normalize', file) },
    )
    pictures = pictures.mix(NORMALIZE_SLICE.out.preview.map { _meta, file -> tuple('previews/normalize', file) })
    stores = stores.mix(NORMALIZE_SLICE.out.slice.map { _meta, store -> tuple('normalize', store) })

    emit:
    slices = withFingerprint(NORMALIZE_SLICE.out.slice) // channel: [ meta Map(id, slice), slice Path, fingerprint ]
    records = records // channel: [ folder String, metrics or table Path ]
    pictures = pictures // channel: [ folder String, png Path ]
    stores = stores // channel: [ folder String, intermediate store Path ]
    diagnostics = diagnostics // channel: [ folder String, store Path ]
}
