import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.Paths

/** What the head process of a run lets a pipeline do; its classes are looked up by name, since checks compile this without them. */
class Head {

    /** Ends the run with a non-zero status, from where an exception would only be logged. */
    static void fail(String reason) {
        session().abort(new IllegalStateException(reason))
    }

    /** Removes the trace of a run that never started, and the folders made for it. */
    static void forgetTrace() {
        final trace = session().config.trace as Map
        if (trace?.enabled) {
            final Path file = Paths.get(trace.file as String).toAbsolutePath()
            Files.deleteIfExists(file)
            [file.parent, file.parent.parent].each { Path folder ->
                // refuses a folder that holds anything
                folder.toFile().delete()
            }
        }
    }

    /** Takes a run without tasks out of the history, so that `-resume` goes on from the last run that had some. */
    static void forgetRun() {
        final history = Class.forName('nextflow.util.HistoryFile').DEFAULT
        history.findByIdOrName(session().runName as String).each { record -> history.deleteEntry(record) }
    }

    private static Object session() {
        return Class.forName('nextflow.Global').session
    }
}
