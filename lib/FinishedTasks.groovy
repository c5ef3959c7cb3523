import java.nio.file.Files
import java.nio.file.Path
import java.util.stream.Stream

/**
 * Finished tasks in the work directory whose results are no longer what they were.
 *
 * `-resume` takes a task for done when its exit status is there and its results exist. A store of which chunks were lost
 * or rewritten since, by a disk that was full, a node that vanished or a hand, would be used. So each step notes names,
 * sizes and times of what it made, and a task whose results differ is made to run again.
 */
class FinishedTasks {

    /** The note of a step in its task's directory, a line for each file: path, bytes, modification time in milliseconds. */
    static final String NOTE = '.results.tsv'

    private static final String STATUS = '.exitcode'

    /** Looks through a work directory; returns what differed, one line for each task that is going to run again. */
    static List<String> mend(Path work) {
        return folders(work).collect { Path task ->
            final reason = difference(task)
            return reason && repeat(task) ? reason : null
        }.findAll()
    }

    /**
     * When a task failed since it could not read what another task made, lets that other task run again.
     *
     * Names, sizes and times do not show everything; the checksum of each chunk that is read does.
     *
     * @param task    directory of the failed task
     * @param reasons its error messages, which name the input by its link in the directory
     * @return the results that are going to be made again
     */
    static List<Path> repeatMakers(Path task, Path work, List<String> reasons) {
        final links = links(task).findAll { Path link ->
            reasons.any { String reason -> reason =~ /corrupt|missing chunk|truncated|damaged/ && reason.contains(task.relativize(link).toString()) }
        }
        return links.collect { Path link -> link.toRealPath() }.findAll { Path result ->
            result.startsWith(work) && work.relativize(result).nameCount > 2 && repeat(work.resolve(work.relativize(result).subpath(0, 2)))
        }
    }

    /** The first thing that a task's results differ in from its note; null when nothing does, or there is no note. */
    private static String difference(Path task) {
        return Files.readAllLines(task.resolve(NOTE)).collect { String line ->
            final name = line.tokenize('\t')
            final file = task.resolve(name[0])
            if (!Files.exists(file)) {
                return "${file} is missing".toString()
            }
            final same = Files.size(file) == (name[1] as long) && Files.getLastModifiedTime(file).toMillis() == (name[2] as long)
            return same ? null : "${file} has changed".toString()
        }.find()
    }

    /** Takes the exit status away, without which Nextflow runs a task again, in a new directory. */
    private static boolean repeat(Path task) {
        return Files.deleteIfExists(task.resolve(STATUS))
    }

    /** Directories of finished tasks that hold a note. */
    private static List<Path> folders(Path work) {
        return children(work).findAll { Path folder -> folder.fileName.toString() ==~ /[0-9a-f]{2}/ }
            .collectMany { Path folder -> children(folder) }
            .findAll { Path task -> Files.exists(task.resolve(NOTE)) && Files.exists(task.resolve(STATUS)) }
    }

    private static List<Path> children(Path folder) {
        if (!Files.isDirectory(folder)) {
            return []
        }
        final Stream<Path> entries = Files.list(folder)
        try {
            return entries.sorted().toList()
        } finally {
            entries.close()
        }
    }

    /** Links that Nextflow laid into a task's directory, down to two folders. */
    private static List<Path> links(Path task) {
        final Stream<Path> walk = Files.walk(task, 3)
        try {
            return walk.filter { Path path -> Files.isSymbolicLink(path) && Files.exists(path) }.sorted().toList()
        } finally {
            walk.close()
        }
    }
}
