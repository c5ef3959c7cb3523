import java.nio.file.Files
import java.nio.file.Path
import java.util.stream.Stream

/** What is in a file or directory tree, as far as names, sizes and times tell. */
class Fingerprint {

    private static final int DIGITS = 16

    /**
     * Fingerprint of a file or directory tree: relative names, sizes and modification times.
     *
     * Nextflow hashes a directory by its own path, size and time only, so a chunk rewritten inside a Zarr store
     * would go unnoticed.
     */
    static String of(Path root) {
        final lines = []
        files(root).each { Path file ->
            lines << "${root.relativize(file)}\0${Files.size(file)}\0${Files.getLastModifiedTime(file).toMillis()}\n"
        }
        return CodeHash.sha256(lines.join('').getBytes('UTF-8')).substring(0, DIGITS)
    }

    /** Bytes on disk of a file or of all files below a directory. */
    static long bytes(Path root) {
        return files(root).sum(0L) { Path file -> Files.size(file) } as long
    }

    /** The regular files of a tree, sorted; a file is a tree of one. */
    static List<Path> files(Path root) {
        final Stream<Path> walk = Files.walk(root.toRealPath())
        try {
            final real = root.toRealPath()
            return walk.filter { Path file -> Files.isRegularFile(file) }.sorted().toList().collect { Path file ->
                root.resolve(real.relativize(file).toString())
            }
        } finally {
            walk.close()
        }
    }
}
