import groovy.json.JsonException

/** Runs `bin/check_run.py` on the head node for `--check`: what only Python can tell of an input. */
class HeadCheck {

    /** Result of the script: [text: String, problems: List<String>]. */
    static Map run(File project, List<String> arguments) {
        final script = new File(project, 'bin/check_run.py').path
        final own = new File(project, '.venv/bin/python')
        final builder = new ProcessBuilder([own.canExecute() ? own.path : 'python3', script] + arguments)
        builder.environment().merge('PYTHONPATH', project.path) { String before, String added -> "${added}:${before}".toString() }
        final Process process
        try {
            process = builder.start()
        } catch (IOException fault) {
            return unreachable("no Python on this machine (${fault.message})")
        }
        final out = new StringBuilder()
        final err = new StringBuilder()
        process.waitForProcessOutput(out, err)
        try {
            final answer = Json.parse(out.toString()) as Map
            return [text: answer.plan, problems: answer.problems as List<String>]
        } catch (JsonException | IllegalArgumentException fault) {
            return unreachable(err.readLines().findAll { it.trim() }.with { it ? it.last() : fault.message })
        }
    }

    private static Map unreachable(String reason) {
        final text = "Not checked: the inside of the inputs, memory and disk, since check_run.py did not run here: ${reason}"
        return [text: text.toString(), problems: []]
    }
}
