import groovy.json.JsonOutput

import java.nio.file.Path
import java.nio.file.Paths

/** What the launcher tells the report of a run, and which results the report is made of. */
class RunFacts {

    private static final List<String> ENDINGS = ['_metrics.json', '.png', '.csv', 'truth.json']

    /** What decides nothing about results: another choice is no reason to make the report again. */
    private static final List<String> PLACE = [
        'output', 'processes', 'gpus', 'max_mosaic_forks', 'max_aip_forks', 'publish_mode', 'container',
        'slurm_queue', 'slurm_account', 'slurm_gpu_queue', 'slurm_gpu_options', 'help', 'check', 'max_failed_slices',
    ]

    /** Parameters by name, each in the one spelling that the steps are given. */
    private static Map<String, String> shown(Map<String, Object> values) {
        return new TreeMap(values.findAll { String name, Object value -> value != null && !(name in PLACE) }
            .collectEntries { String name, Object value -> [name, CommandLine.text(value)] })
    }

    /** Whether the report reads a published file. */
    static boolean wanted(Path path) {
        return ENDINGS.any { String ending -> path.fileName.toString().endsWith(ending) }
    }

    /** What the report is about: id is the subject, report the name of the page. */
    static Map<String, String> meta(RunPlan plan) {
        final ids = plan.volumes*.id
        final subject = plan.simulated ? plan.subject : plan.values.subject_name ?: (ids.size() == 1 ? ids.first() : 'run')
        return [id: subject as String, report: plan.recording ? 'fusion' : "${subject}_quality".toString()]
    }

    /** Folder of the report below the output directory: that of the first workflow that makes a volume of many parts. */
    static String folder(RunPlan plan) {
        return ['reconstruct', 'fusion', 'preprocess', 'anisotropy'].find { String name -> plan.chain.contains(name) }
    }

    /** The file of thresholds: one of the user's own, or the one that is built in. An edit of either repeats the report. */
    static Path thresholds(RunPlan plan, Object workflow) {
        return plan.values.report_thresholds
            ? Paths.get(plan.values.report_thresholds as String).toAbsolutePath().normalize()
            : (workflow.projectDir as Path).resolve('linumpy_lib/quality/thresholds.json')
    }

    /**
     * One line of JSON. It is asked for when all other tasks have ended, so it knows what has failed.
     *
     * @param files published names of the files that the report is given, in their order
     */
    static String of(RunPlan plan, Object workflow, List<String> files) {
        final facts = [
            subject: meta(plan).id,
            workflow: plan.chain.names,
            parameters: shown(plan.values),
            defaults: shown(plan.schema.parameters.collectEntries { String name, Map item -> [name, item.default] }),
            versions: [
                pipeline: workflow.manifest.version,
                nextflow: workflow.nextflow.version.toString(),
                java: System.getProperty('java.version'),
                container: image(workflow),
            ],
            failed: FailedSlices.all,
            files: files,
        ]
        return JsonOutput.toJson(facts)
    }

    /** The image of the tasks, empty without one. */
    static String image(Object workflow) {
        // Outside of a task, the version in the name that the profiles build is an empty map.
        return workflow.containerEngine ? workflow.container.toString().replace('[:]', workflow.manifest.version.toString()) : ''
    }
}
