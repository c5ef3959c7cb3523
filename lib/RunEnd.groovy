import java.nio.file.Path
import java.nio.file.Paths

/** The end of a run: every published result is verified, recorded and named. */
class RunEnd {

    private final RunPlan plan
    private final Object workflow
    private final RunRecord record
    private final PublishedResults results

    /**
     * @param plan     what the run was to do
     * @param workflow Nextflow's own record of the run
     */
    RunEnd(RunPlan plan, Object workflow) {
        this.plan = plan
        this.workflow = workflow
        record = new RunRecord(plan.output)
        record.parameters(plan.values)
        FailedSlices.allow(plan.values.max_failed_slices as int)
        results = new PublishedResults(plan.output, plan.values.publish_mode == 'link')
    }

    /** Notes a finished result that has to be found in a folder of the output directory at the end. */
    void expect(String folder, Path source) {
        results.add(folder, source)
    }

    /** Publishes a finished result in a folder of the output directory, at once and in the background. */
    void publish(String folder, Path source) {
        results.publish(folder, source)
    }

    /** Returns the text for the user; the run's exit status is not 0 when a result is missing. */
    String close() {
        record.failedSlices(FailedSlices.all)
        if (!workflow.success) {
            return RunSummary.failure(workflow, plan.volumes) + unusable()
        }
        if (workflow.preview) {
            return 'Preview only: no task was run.'
        }
        final outcome = results.verify()
        final problems = outcome.problems + unreported()
        record.versions(workflow, results.targets)
        if (problems) {
            return fail(problems)
        }
        return RunSummary.success(workflow, plan.volumes, results, outcome.repaired as List<Path>)
    }

    /** What the failed task could not read is made again by the next run. */
    private String unusable() {
        final report = (workflow.errorReport ?: '') as String
        final folder = (report =~ /(?s)Work dir:\s+(\S.*?)(\n|$)/).with { it.find() ? it.group(1).trim() : '' }
        if (!folder) {
            return ''
        }
        final results = FinishedTasks.repeatMakers(Paths.get(folder), workflow.workDir as Path, RunSummary.reasons(workflow, report))
        return results.collect { Path path -> "\n${path} is damaged; with -resume, it is made again.".toString() }.join('')
    }

    /** Every volume of the anisotropy workflow has to end in a report of its own. */
    private List<String> unreported() {
        // How many volumes fusion makes is told by the recording; each is published, and so verified, with its report.
        if (!plan.chain.contains('anisotropy') || plan.recording) {
            return []
        }
        final pages = results.targets*.fileName*.toString().findAll { it.endsWith('_anisotropy_report.html') }
        final names = plan.simulated ? [plan.subject] : plan.volumes*.id
        return names.findAll { String name -> !pages.any { it.startsWith("${name}_") } }
            .collect { String name -> "${name}: no report was made of it".toString() }
    }

    private static String fail(List<String> problems) {
        final text = (['', 'The run has failed: published results are not complete.'] + problems.collect { '  ' + it } +
            ['Free or mend the place they are written to and run the same command again with -resume.']).join('\n')
        Head.fail(text)
        return text
    }
}
