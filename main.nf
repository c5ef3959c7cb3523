#!/usr/bin/env nextflow
// linumpy-pipeline: raw 3-D microscopy to aligned OME-Zarr volumes and quantitative maps.
//
// `--workflow` names what runs, alone or as a chain in which each workflow hands its volumes to the next.

include { SIMULATE_FIBRES } from './modules/simulation/simulate_fibres'
include { SIMULATE_MULTIVIEW } from './modules/simulation/simulate_multiview'
include { SIMULATE_OCT } from './modules/simulation/simulate_oct'
include { COMPARE_WITH_TRUTH } from './modules/simulation/compare_with_truth'
include { PREPROCESS } from './workflows/preprocess'
include { RECONSTRUCT } from './workflows/reconstruct'
include { FUSION } from './workflows/fusion'
include { ANISOTROPY } from './workflows/anisotropy'
include { REPORT } from './workflows/report'

workflow {
    main:
    plan = new RunPlan(params, projectDir, workflow.commandLine)
    if (params.help) {
        log.info(plan.help(params.help))
        return
    }
    if (params.check) {
        log.info(plan.check())
    }
    if (plan.problems) {
        error(plan.complaint())
    }
    if (params.check) {
        return
    }
    busy = workflow.preview ? null : OutputLock.take(plan.output)
    if (busy) {
        error(busy)
    }
    if (workflow.resume) {
        FinishedTasks.mend(workflow.workDir).each { reason -> log.warn("${reason} since its task ended; the task runs again") }
    }

    // channel: [ folder String below the output directory, file or store Path ]
    published = Channel.empty()
    // channel: [ folder String, metrics Path ], what only the report reads
    figures = Channel.empty()
    // channel: [ meta Map(id String), volume Path, fingerprint String ]
    volumes = Channel.fromList(plan.items)

    if (plan.simulated && plan.raw) {
        SIMULATE_OCT(tuple([id: plan.subject], []), plan.step('simulate_oct'))
        volumes = SIMULATE_OCT.out.raw.map { meta, raw -> tuple(meta, raw, Fingerprint.of(raw)) }
        simulated = SIMULATE_OCT.out.raw.mix(SIMULATE_OCT.out.truth)
        published = plan.values.publish_intermediates ? simulated.map { _meta, folder -> tuple('simulation', folder) } : published
        // What is true goes with every result, for the report's appendix.
        truth = SIMULATE_OCT.out.metrics
            .mix(SIMULATE_OCT.out.truth.map { meta, folder -> tuple(meta, folder.resolve('truth.json')) })
            .map { _meta, path -> tuple('simulation', path) }
    } else if (plan.simulated && plan.recording) {
        SIMULATE_MULTIVIEW(tuple([id: plan.subject], []), plan.step('simulate_multiview'))
        volumes = SIMULATE_MULTIVIEW.out.raw.map { meta, raw -> tuple(meta, raw, Fingerprint.of(raw)) }
        truth = SIMULATE_MULTIVIEW.out.truth.map { _meta, folder -> tuple('simulation', folder.resolve('truth.json')) }
    } else if (plan.simulated) {
        SIMULATE_FIBRES([id: plan.subject], plan.step('simulate_fibres'))
        volumes = SIMULATE_FIBRES.out.volume.map { meta, volume -> tuple(meta, volume, Fingerprint.of(volume)) }
        simulated = SIMULATE_FIBRES.out.volume.mix(SIMULATE_FIBRES.out.truth.transpose())
        published = plan.values.publish_intermediates ? simulated.map { _meta, store -> tuple('simulation', store) } : published
    }
    if (plan.chain.contains('preprocess')) {
        steps = plan.steps('create_mosaic_grid', 'estimate_xy_shifts', 'generate_slice_config', 'generate_aips', 'generate_previews')
        wanted = plan.values.subMap('generate_slice_config', 'generate_aips', 'generate_previews')
        PREPROCESS(volumes, steps, plan.device, plan.values.use_old_folder_structure, wanted)
        published = published.mix(PREPROCESS.out.published)
        figures = PREPROCESS.out.figures
    }
    // channel: [ folder String below the output directory, file or store Path ], copied by the head process
    results = plan.simulated && (plan.raw || plan.recording) ? truth : Channel.empty()
    if (plan.chain.contains('reconstruct')) {
        mosaics = plan.mosaics ? Channel.fromList(plan.mosaicItems) : PREPROCESS.out.mosaics
        // channel: [ meta Map(id), shifts Path, slice config Path or empty List ]
        tables = plan.mosaics
            ? Channel.of(plan.tables)
            : PREPROCESS.out.shifts.join(PREPROCESS.out.config, remainder: true).map { meta, shifts, config ->
                tuple(meta, plan.file('shifts_xy') ?: shifts, plan.file('slice_config') ?: config ?: [])
            }
        RECONSTRUCT(mosaics, tables, plan.reconstruction, plan.device, plan.values, [plan.file('atlas_template'), plan.file('atlas_annotation')], plan.file('manual_transforms_dir'))
        results = results.mix(RECONSTRUCT.out.published.map { folder, path -> tuple("reconstruct/${folder}".toString(), path) })
        volumes = RECONSTRUCT.out.volume
        if (plan.simulated) {
            // channel: [ meta Map(id), volume Path, truth Path, fingerprint String ]
            comparable = RECONSTRUCT.out.published
                .filter { folder, path -> folder == 'stack' && path.name == "${plan.subject}.ome.zarr" }
                .combine(SIMULATE_OCT.out.truth)
                .map { _folder, volume, meta, known ->
                    tuple(meta, volume, known, [volume, known].collect { path -> Fingerprint.of(path) }.join(' '))
                }
            COMPARE_WITH_TRUTH(comparable, plan.step('compare_with_truth'))
            compared = COMPARE_WITH_TRUTH.out.errors.mix(COMPARE_WITH_TRUTH.out.preview, COMPARE_WITH_TRUTH.out.metrics)
            results = results.mix(compared.map { _meta, path -> tuple('reconstruct/comparison_with_truth', path) })
        }
    }
    if (plan.chain.contains('fusion')) {
        FUSION(volumes, plan.simulated ? plan.subject : plan.volumes.first().id, plan.fusion, plan.values)
        results = results.mix(FUSION.out.published.map { folder, path -> tuple(folder == '.' ? 'fusion' : "fusion/${folder}".toString(), path) })
        volumes = FUSION.out.volumes
    }
    if (plan.chain.contains('anisotropy')) {
        steps = plan.steps('compute_anisotropy', 'gather_anisotropy', 'export_npz', 'report_anisotropy')
        ANISOTROPY(volumes, steps, plan.device, plan.values.anisotropy_slabs, plan.values.anisotropy_npz)
        published = published.mix(ANISOTROPY.out.published)
    }
    if (plan.values.generate_report) {
        REPORT(published.mix(results, figures), plan, workflow, plan.step('generate_report'))
        results = results.mix(REPORT.out.published)
    }

    end = new RunEnd(plan, workflow)
    published.subscribe { folder, path -> end.expect(folder, path) }
    results.subscribe { folder, path -> end.publish(folder, path) }
    workflow.onComplete { log.info(end.close()) }
}
