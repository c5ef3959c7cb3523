// The quality report of a run, when everything else has ended.

include { GENERATE_REPORT } from '../modules/quality/generate_report'

workflow REPORT {
    take:
    results // channel: [ folder String below the output directory, file or store Path ], all that the run publishes
    plan // RunPlan
    run // the run's own record of Nextflow
    step // Map: flags and code hash of generate_report

    main:
    // channel: [ meta Map(id, report), files List of Path, facts JSON String, thresholds Path ]
    found = results
        .filter { _folder, path -> RunFacts.wanted(path) }
        .map { folder, path -> ["${folder}/${path.name}".toString(), path] }
        .toSortedList { one, other -> one[0] <=> other[0] }
        .map { pairs -> tuple(RunFacts.meta(plan), pairs*.last(), RunFacts.of(plan, run, pairs*.first()), RunFacts.thresholds(plan, run)) }
    GENERATE_REPORT(found, step)
    made = GENERATE_REPORT.out

    emit:
    published = made.page
        .mix(made.files.transpose(), made.metrics)
        .map { _meta, path -> tuple(RunFacts.folder(plan), path) } // channel: [ folder String, path ]
}
