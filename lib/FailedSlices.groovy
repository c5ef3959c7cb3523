import java.nio.file.Files
import java.nio.file.Path

/**
 * Slices whose tasks failed for good, and whether the run goes on without them.
 *
 * A process that works on one slice asks here what becomes of the run when its task fails. One run has one head
 * process, so one list serves all of them.
 */
class FailedSlices {

    private static final List<Map> failed = []
    private static int allowed = 0

    /** Begins a run that may lose this many slices. */
    static synchronized void allow(int most) {
        failed.clear()
        allowed = most
    }

    /** Failures in the order of their slices: [slice, step, name, reason]. */
    static synchronized List<Map> getAll() {
        return failed.sort(false) { [it.slice, it.step] }
    }

    /** Slices that the run goes on without, or that ended it. */
    static synchronized List<String> getSlices() {
        return failed*.slice.unique(false).sort(false)
    }

    /** How many slices the run may lose. */
    static synchronized int getAllowed() {
        return allowed
    }

    /**
     * What becomes of a failed task of one slice: it is tried again for transient faults, then the slice is left out as
     * long as the run may lose it, else the run ends when the running tasks have finished.
     */
    static synchronized String strategy(Object task, Map meta) {
        final status = task.exitStatus as Integer
        if (status in task.ext.retried && (task.attempt as int) <= (task.maxRetries as int)) {
            return 'retry'
        }
        if (!failed.any { it.slice == meta.slice }) {
            final process = (task.process as String).tokenize(':').last().toLowerCase()
            failed << [slice: meta.slice, step: process, name: "${meta.id} ${meta.slice}".toString(), reason: reason(task.workDir as Path, status)]
        }
        // A job that was refused leaves no status, and a run that ignored it would wait for it without end.
        return status in [null, Integer.MAX_VALUE] || slices.size() > allowed ? 'finish' : 'ignore'
    }

    /** The `error: …` lines of a step script, or its exit status. */
    private static String reason(Path folder, Integer status) {
        final log = folder?.resolve('.command.err')
        final said = log && Files.exists(log) ? log.toFile().getText('UTF-8').readLines() : []
        final errors = said*.trim().findAll { String line -> line.startsWith('error:') }.collect { String line -> line.substring(6).trim() }
        return errors ? errors.unique().join('; ') : "exit status ${status}, see ${log}".toString()
    }
}
