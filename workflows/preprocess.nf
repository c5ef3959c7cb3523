// Raw tiles of serial-section OCT to one mosaic per slice, the shifts between slices and the table of slices.

include { CREATE_MOSAIC_GRID } from '../modules/acquisition/create_mosaic_grid'
include { ESTIMATE_XY_SHIFTS } from '../modules/acquisition/estimate_xy_shifts'
include { GENERATE_SLICE_CONFIG } from '../modules/acquisition/generate_slice_config'
include { GENERATE_AIPS } from '../modules/acquisition/generate_aips'
include { GENERATE_PREVIEWS } from '../modules/acquisition/generate_previews'

workflow PREPROCESS {
    take:
    acquisitions // channel: [ meta Map(id String), raw Path of the folder that holds the tiles, fingerprint String ]
    steps // Map: name of a step -> Map(flags String, code String)
    device // String: auto, cpu, cuda or mps
    flat // Boolean: tiles lie directly in the folder
    wanted // Map: generate_slice_config, generate_aips, generate_previews -> Boolean

    main:
    // channel: [ meta Map(id, slice String), tiles List of Path, fingerprint String ]
    slices = acquisitions.flatMap { meta, raw, _fingerprint -> new RawTiles(raw, flat).items(meta.id) }
    CREATE_MOSAIC_GRID(slices, steps.create_mosaic_grid, device)
    ESTIMATE_XY_SHIFTS(acquisitions, steps.estimate_xy_shifts)

    // channel: [ meta, shifts Path, records List of Path in the order of their names ]
    tables = ESTIMATE_XY_SHIFTS.out.shifts
        .join(
            CREATE_MOSAIC_GRID.out.record
                .map { meta, record -> tuple([id: meta.id], record) }
                .groupTuple()
                .map { meta, records -> tuple(meta, records.sort(false) { record -> record.name }) }
        )
    GENERATE_SLICE_CONFIG(tables.filter { wanted.generate_slice_config }, steps.generate_slice_config)

    // channel: [ meta Map(id, slice), mosaic Path, fingerprint String ]
    fingerprinted = CREATE_MOSAIC_GRID.out.mosaic.map { meta, mosaic -> tuple(meta, mosaic, Fingerprint.of(mosaic)) }
    GENERATE_AIPS(fingerprinted.filter { wanted.generate_aips }, steps.generate_aips)
    GENERATE_PREVIEWS(fingerprinted.filter { wanted.generate_previews }, steps.generate_previews)

    // channel: [ folder String below the output directory, file or store Path ]
    files = CREATE_MOSAIC_GRID.out.mosaic
        .mix(ESTIMATE_XY_SHIFTS.out.shifts, GENERATE_SLICE_CONFIG.out.config)
        .map { _meta, path -> tuple('preprocess', path) }
        .mix(
            GENERATE_AIPS.out.picture.map { _meta, path -> tuple('preprocess/aips', path) },
            GENERATE_PREVIEWS.out.picture.map { _meta, path -> tuple('preprocess/previews', path) },
        )

    // channel: [ folder String below the output directory, metrics Path ]
    metrics = CREATE_MOSAIC_GRID.out.metrics.mix(
        ESTIMATE_XY_SHIFTS.out.metrics,
        GENERATE_SLICE_CONFIG.out.metrics,
        GENERATE_AIPS.out.metrics,
        GENERATE_PREVIEWS.out.metrics,
    )

    emit:
    figures = metrics.map { _meta, path -> tuple('preprocess', path) }
    mosaics = fingerprinted // channel: [ meta Map(id, slice), mosaic Path, fingerprint ]
    shifts = ESTIMATE_XY_SHIFTS.out.shifts // channel: [ meta Map(id), csv Path ]
    config = GENERATE_SLICE_CONFIG.out.config // channel: [ meta Map(id), csv Path ]
    published = files
}
