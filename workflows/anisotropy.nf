// Anisotropy maps of volumes: structure tensor, measures and directions, and a report of each volume.

include { COMPUTE_ANISOTROPY } from '../modules/anisotropy/compute_anisotropy'
include { GATHER_ANISOTROPY } from '../modules/anisotropy/gather_anisotropy'
include { EXPORT_NPZ } from '../modules/anisotropy/export_npz'
include { REPORT_ANISOTROPY } from '../modules/anisotropy/report_anisotropy'

workflow ANISOTROPY {
    take:
    volumes // channel: [ meta Map(id String), volume Path, fingerprint String ]
    steps // Map: name of a step -> Map(flags String, code String)
    device // String: auto, cpu, cuda or mps
    slabs // Integer: tasks to split each volume over, 0 to choose by its size
    npz // Boolean: export the maps as a NumPy archive too

    main:
    // channel: [ meta, volume, fingerprint, slab Map(index Integer from 1, count Integer, folder String) ]
    slab_volumes = volumes.flatMap { meta, volume, fingerprint ->
        Slabs.of(slabs ?: Slabs.forBytes(Fingerprint.bytes(volume))).collect { slab -> tuple(meta, volume, fingerprint, slab) }
    }
    COMPUTE_ANISOTROPY(slab_volumes, steps.compute_anisotropy, device)

    // channel: [ meta, slab, maps Path of the directory of results ], whole volumes and parts of volumes
    computed = COMPUTE_ANISOTROPY.out.files
        .map { meta, slab, results -> tuple(meta, slab, results.first().parent) }
        .branch { _meta, slab, _maps ->
            whole: slab.count == 1
            part: true
        }
    // channel: [ meta, maps List of Path in the order of the slabs, fingerprint String ]
    parts = computed.part
        .map { meta, slab, maps -> tuple(groupKey(meta, slab.count), slab.index, maps) }
        .groupTuple()
        .map { key, indices, maps ->
            def ordered = [indices, maps].transpose().sort { pair -> pair[0] }.collect { pair -> pair[1] }
            tuple(key.target, ordered, ordered.collect { path -> Fingerprint.of(path) }.join(' '))
        }
    GATHER_ANISOTROPY(parts, steps.gather_anisotropy)

    // channel: [ meta, maps Path, fingerprint String ], one for each volume
    finished = computed.whole
        .map { meta, _slab, maps -> tuple(meta, maps) }
        .mix(GATHER_ANISOTROPY.out.files.map { meta, results -> tuple(meta, results.first().parent) })
        .map { meta, maps -> tuple(meta, maps, Fingerprint.of(maps)) }
    EXPORT_NPZ(finished.filter { npz }, steps.export_npz)

    // channel: [ meta, maps Path, volume Path, fingerprint String of both ]
    reportable = finished
        .join(volumes)
        .map { meta, maps, maps_print, volume, volume_print -> tuple(meta, maps, volume, "${maps_print} ${volume_print}") }
    REPORT_ANISOTROPY(reportable, steps.report_anisotropy)

    // channel: [ folder String below the output directory, file or store Path ]
    files = COMPUTE_ANISOTROPY.out.files
        .filter { _meta, slab, _results -> slab.count == 1 }
        .map { meta, _slab, results -> tuple(meta, results) }
        .mix(GATHER_ANISOTROPY.out.files, EXPORT_NPZ.out.files, REPORT_ANISOTROPY.out.files)
        .flatMap { _meta, results -> results.collect { path -> tuple('anisotropy', path) } }

    emit:
    published = files
}
