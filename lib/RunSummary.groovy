import java.nio.file.Path

/** What the user reads when a run has ended. */
class RunSummary {

    private static final Map<String, String> KINDS = [html: 'report', png: 'picture', zip: 'volume', json: 'table', csv: 'table', npz: 'table', txt: 'table']
    private static final int MOST = 12
    private static final List<String> ORDER = ['input', 'volume', 'map', 'table', 'picture', 'report']

    /** Inputs and results of a successful run and the time it took. */
    static String success(Object workflow, List<Map> volumes, PublishedResults results, List<Path> repaired) {
        final named = volumes.collect { Map volume -> [kind: 'input', path: volume.path] } +
            results.targets.collect { Path path -> [kind: kind(path), path: path] }
        final lines = ['', "Finished in ${workflow.duration}:"]
        ORDER.each { String kind ->
            final paths = named.findAll { it.kind == kind }*.path.sort()
            paths.take(MOST).each { Path path -> lines << "  ${kind.padRight(8)} ${path}" }
            if (paths.size() > MOST) {
                lines << "  ${kind.padRight(8)} … and ${paths.size() - MOST} more in ${paths.last().parent}"
            }
        }
        if (FailedSlices.all) {
            lines << "  without ${FailedSlices.slices.join(', ')}: failed, and --max_failed_slices is ${FailedSlices.allowed}"
            lines.addAll(lost())
        }
        repaired.each { Path path -> lines << "  ${path} was incomplete and has been copied again" }
        return lines.join('\n')
    }

    /** What a published result is: the stores of anisotropy are maps, other stores volumes. */
    private static String kind(Path path) {
        final ending = path.fileName.toString().tokenize('.').last()
        return KINDS[ending] ?: (path.parent.fileName.toString() == 'anisotropy' ? 'map' : 'volume')
    }

    /** The step that failed, its input, the last words of its script and how to go on. */
    static String failure(Object workflow, List<Map> volumes) {
        final report = (workflow.errorReport ?: '') as String
        final process = (report =~ /process > '(.+?)'/).with { it.find() ? it.group(1) : '' }
        final folder = (report =~ /(?s)Work dir:\s+(\S.*?)(\n|$)/).with { it.find() ? it.group(1).trim() : '' }
        final id = (process =~ /\((.+?)\)$/).with { it.find() ? it.group(1).tokenize().first() : '' }
        final input = volumes.find { it.id == id }
        final lines = ['', 'The run has failed.']
        if (process) {
            lines << "  step    ${process}"
        }
        if (input) {
            lines << "  input   ${input.path}"
        }
        reasons(workflow, report).each { String line -> lines << "  reason  ${line}" }
        if (folder) {
            lines << "  folder  ${folder}"
        }
        if (FailedSlices.all) {
            final count = FailedSlices.slices.size()
            lines << "  slices  ${FailedSlices.slices.join(', ')} failed, and --max_failed_slices is ${FailedSlices.allowed}"
            lines.addAll(count > 1 ? lost() : [])
            lines << "To go on without ${count == 1 ? 'it' : 'them'}, add --max_failed_slices ${count}; the report will say so."
        }
        lines << 'When the cause is removed, run the same command again with -resume: finished tasks are not repeated.'
        return lines.join('\n')
    }

    /** One line for each slice that the run lost. */
    private static List<String> lost() {
        return FailedSlices.all.collect { Map one -> "          ${one.slice} in ${one.step}: ${one.reason}".toString() }
    }

    /** The `error: …` lines of a step script; what Nextflow found wrong when there are none. */
    static List<String> reasons(Object workflow, String report) {
        final said = ((workflow.errorMessage ?: '') as String).readLines()*.trim().findAll { it }
        final errors = (said + report.readLines()*.trim()).findAll { it.startsWith('error:') }.unique()
        final cause = (report =~ /(?s)Caused by:\s+(.*?)\n\s*\n/).with { it.find() ? it.group(1).readLines()*.trim() : [] }
        return errors ?: cause + said.takeRight(5)
    }
}
