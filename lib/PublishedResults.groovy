import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.StandardCopyOption
import java.util.concurrent.Executors
import java.util.concurrent.ExecutorService
import java.util.concurrent.TimeUnit

/**
 * The finished results of a run and their published copies.
 *
 * Publishing happens in the background of the head process; when it is interrupted, `-resume` does not
 * always notice. So each copy is held against the task's own file when the run ends.
 */
class PublishedResults {

    private final Path output
    private final boolean links
    private final List<Map> results = Collections.synchronizedList([])
    private final List<String> faults = Collections.synchronizedList([])
    private final ExecutorService copying = Executors.newFixedThreadPool(2)

    /** @param links true when files are published as hard links */
    PublishedResults(Path output, boolean links) {
        this.output = output
        this.links = links
    }

    /** Notes a finished result: its folder below the output directory and the file or store in the task's work directory. */
    void add(String folder, Path source) {
        results << [source: source, target: output.resolve(folder).normalize().resolve(source.fileName.toString())]
    }

    /**
     * Copies a finished result in the background, unless its copy is there already and as old as the original.
     *
     * For results whose folder is known to the workflow alone, which `publishDir` would need a second list for.
     */
    void publish(String folder, Path source) {
        add(folder, source)
        final target = output.resolve(folder).normalize().resolve(source.fileName.toString())
        copying.submit({
            try {
                if (difference(source, target) || times(source) != times(target)) {
                    replace(source, target)
                }
            } catch (IOException fault) {
                faults << "${target}: cannot be written (${fault.message})".toString()
            }
        } as Runnable)
    }

    /** Where the results lie. */
    List<Path> getTargets() {
        return results*.target.unique(false).sort(false)
    }

    /** Repairs incomplete copies; returns [repaired: List<Path>, problems: List<String>]. */
    Map verify() {
        copying.shutdown()
        copying.awaitTermination(7, TimeUnit.DAYS)
        final repaired = []
        final problems = faults.collect()
        results.sort(false) { it.target }.each { Map result ->
            if (!difference(result.source, result.target)) {
                return
            }
            try {
                replace(result.source, result.target)
            } catch (IOException fault) {
                problems << "${result.target}: cannot be completed from ${result.source} (${fault.message})".toString()
                return
            }
            final left = difference(result.source, result.target)
            if (left) {
                problems << left
            } else {
                repaired << result.target
            }
        }
        return [repaired: repaired, problems: problems]
    }

    /** What makes a published copy differ from its source in file names and bytes; null when nothing does. */
    static String difference(Path source, Path target) {
        if (!Files.exists(target)) {
            return "${target}: is missing".toString()
        }
        if (Files.isSymbolicLink(target)) {
            return "${target}: is a link, not a file".toString()
        }
        final wanted = sizes(source)
        final found = sizes(target)
        final file = (wanted.keySet() + found.keySet()).sort().find { wanted[it] != found[it] }
        if (file == null) {
            return null
        }
        final where = file ? target.resolve(file) : target
        if (!found.containsKey(file)) {
            return "${where}: is missing, of ${wanted.size()} files".toString()
        }
        return wanted.containsKey(file)
            ? "${where}: has ${found[file]} bytes instead of ${wanted[file]}".toString()
            : "${where}: does not belong to this result".toString()
    }

    private static Map<String, Long> sizes(Path root) {
        return Fingerprint.files(root).collectEntries { Path file -> [root.relativize(file).toString(), Files.size(file)] }
    }

    private static Map<String, Long> times(Path root) {
        return Fingerprint.files(root).collectEntries { Path file -> [root.relativize(file).toString(), Files.getLastModifiedTime(file).toMillis()] }
    }

    /** Copies beside the target first, so that the name never stands for half a result. */
    private void replace(Path source, Path target) {
        Files.createDirectories(target.parent)
        final fresh = target.resolveSibling(".${target.fileName}.part")
        remove(fresh)
        Fingerprint.files(source).each { Path file ->
            final copy = fresh.resolve(source.relativize(file).toString())
            Files.createDirectories(copy.parent)
            if (links) {
                Files.createLink(copy, file.toRealPath())
            } else {
                Files.copy(file, copy, StandardCopyOption.COPY_ATTRIBUTES)
            }
        }
        remove(target)
        Files.move(fresh, target)
    }

    private static void remove(Path root) {
        if (!Files.exists(root) && !Files.isSymbolicLink(root)) {
            return
        }
        if (Files.isDirectory(root) && !Files.isSymbolicLink(root)) {
            root.toFile().deleteDir()
        } else {
            Files.delete(root)
        }
    }
}
