// Mosaics of serial sections to one aligned volume, with its bias field taken out and in an atlas's frame where that is wanted.

include { SLICES } from './slices'
include { VOLUME } from './volume'
include { CORRECT_BIAS_FIELD } from '../modules/intensity/correct_bias_field'
include { ALIGN_TO_RAS } from '../modules/alignment/align_to_ras'

workflow RECONSTRUCT {
    take:
    mosaics // channel: [ meta Map(id, slice String), mosaic Path, fingerprint String ]
    tables // channel: [ meta Map(id), shifts Path, slice config Path or empty List ]
    steps // Map: name of a step -> Map(flags String, code String)
    device // String: auto, cpu, cuda or mps
    wanted // Map: name of a parameter of the run -> value
    atlas // List: template Path or empty List, annotation Path or empty List
    manual // Path of a folder of pairs aligned by hand, or an empty List

    main:
    SLICES(mosaics, steps, device, wanted)
    VOLUME(SLICES.out.slices, tables, steps, wanted, manual)
    // channel: [ folder String below reconstruct/, file or store Path ]
    published = SLICES.out.records.mix(SLICES.out.pictures, VOLUME.out.records, VOLUME.out.pictures, VOLUME.out.published, SLICES.out.diagnostics)
    if (wanted.publish_intermediates) {
        published = published.mix(SLICES.out.stores, VOLUME.out.stores)
    }

    // channel: [ meta Map(id), volume Path, fingerprint ]
    volume = VOLUME.out.volume.map { meta, store -> tuple(meta, store, Fingerprint.of(store)) }
    if (wanted.correct_bias_field) {
        CORRECT_BIAS_FIELD(volume, steps.correct_bias_field, device)
        corrected = CORRECT_BIAS_FIELD.out
        published = published.mix(
            corrected.volume.mix(corrected.field, corrected.preview, corrected.metrics).map { _meta, path -> tuple('correct_bias_field', path) }
        )
        volume = corrected.volume.map { meta, store -> tuple(meta, store, Fingerprint.of(store)) }
    }
    if (wanted.align_to_ras_enabled) {
        ALIGN_TO_RAS(volume, atlas + [atlas.flatten().collect { file -> Fingerprint.of(file) }.join(' ')], steps.align_to_ras)
        aligned = ALIGN_TO_RAS.out
        published = published.mix(
            aligned.volume.mix(aligned.transform, aligned.pictures.transpose(), aligned.metrics).map { _meta, path -> tuple('align_to_ras', path) }
        )
    }

    emit:
    volume = volume // channel: [ meta Map(id), volume Path, fingerprint ]
    published = published
}
