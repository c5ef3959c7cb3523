import java.nio.file.FileSystems
import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.Paths

/** The volumes that `--input` names: a file, a Zarr directory, a folder of planes, or a glob of any of them. */
class InputVolumes {

    /** Endings of volumes, the longest of a kind first; Zarr stores are directories. */
    static final List<String> ENDINGS = [
        '.ome.zarr.zip', '.ome.zarr', '.zarr', '.ome.tiff', '.ome.tif', '.tiff', '.tif', '.nii.gz', '.nii', '.nrrd', '.klb',
    ]

    private static final List<String> PLANES = ['.tif', '.tiff']

    /** One map for each volume: [id: String, path: Path], sorted by path. */
    List<Map> volumes = []
    final List<String> problems = []

    /**
     * @param pattern a path or a glob, relative to the directory that the run was started in
     * @param subject the subject name, '' to name each volume after its file
     */
    InputVolumes(String pattern, String subject) {
        if (!pattern) {
            problems << '--input: is missing, needs the path of a volume, a glob of volumes, or simulate'
            return
        }
        final paths = expand(pattern)
        if (!paths) {
            problems << "--input: nothing matches '${pattern}'; check the path, and quote a glob against the shell".toString()
            return
        }
        paths.each { Path path -> checkKind(path) }
        volumes = paths.collect { Path path -> [id: name(path, subject, paths.size() > 1), path: path] }
        volumes.groupBy { it.id }.findAll { it.value.size() > 1 }.each { String id, List<Map> same ->
            problems << "--input: ${same*.path.join(' and ')} would both be called '${id}'; rename one".toString()
        }
    }

    /** A volume's name: its file name without the ending, other characters than letters, digits, `.`, `_`, `-` replaced. */
    private static String name(Path path, String subject, boolean several) {
        final file = path.fileName.toString()
        final ending = ENDINGS.find { file.toLowerCase().endsWith(it) } ?: ''
        final stem = file[0..<(file.length() - ending.length())].replaceAll(/[^A-Za-z0-9._-]+/, '_').replaceAll(/^[_-]+|_+$/, '') ?: 'volume'
        if (!subject) {
            return stem
        }
        return several ? "${subject}_${stem}".toString() : subject
    }

    private void checkKind(Path path) {
        final unsafe = SafePath.problem('--input', path)
        if (unsafe) {
            problems << unsafe
        }
        final file = path.fileName.toString().toLowerCase()
        final ending = ENDINGS.find { file.endsWith(it) && file.length() > it.length() }
        if (Files.isDirectory(path)) {
            if (!ending?.endsWith('.zarr') && !isZarr(path) && !holdsPlanes(path)) {
                problems << "--input: the folder '${path}' is no Zarr store and holds no TIFF planes".toString()
            }
        } else if (ending == null || ending.endsWith('.zarr')) {
            problems << "--input: '${path}' is of no known format; known endings: ${ENDINGS.join(' ')}".toString()
        } else if (!Files.isReadable(path)) {
            problems << "--input: '${path}' cannot be read; check its permissions".toString()
        }
    }

    private static boolean isZarr(Path path) {
        return ['zarr.json', '.zgroup', '.zarray'].any { Files.exists(path.resolve(it)) }
    }

    private static boolean holdsPlanes(Path path) {
        return list(path).any { Path entry -> PLANES.any { entry.fileName.toString().toLowerCase().endsWith(it) } }
    }

    private static List<Path> list(Path folder) {
        final entries = Files.list(folder)
        try {
            return entries.sorted().toList()
        } finally {
            entries.close()
        }
    }

    /**
     * The paths that a pattern names. One that exists as it stands is taken literally, whatever characters it holds.
     * Otherwise it is matched part by part: Nextflow's own globs skip directories, and so Zarr stores.
     */
    private static List<Path> expand(String pattern) {
        final literal = Paths.get(pattern).toAbsolutePath().normalize()
        if (Files.exists(literal)) {
            return [literal]
        }
        List<Path> found = [literal.root]
        literal.each { Path part ->
            found = found.collectMany { Path folder -> step(folder, part.toString()) }
        }
        return found.unique(false).sort(false)
    }

    private static List<Path> step(Path folder, String part) {
        if (part == '**') {
            return [folder] + folders(folder).collectMany { Path inner -> step(inner, part) }
        }
        if (!(part =~ /[*?\[]/)) {
            final next = folder.resolve(part)
            return Files.exists(next) ? [next] : []
        }
        if (!Files.isDirectory(folder) || !Files.isReadable(folder)) {
            return []
        }
        final matcher = FileSystems.default.getPathMatcher('glob:' + part)
        return list(folder).findAll { Path entry -> !entry.fileName.toString().startsWith('.') && matcher.matches(entry.fileName) }
    }

    /** The folders to look into under `**`: not those inside a store. */
    private static List<Path> folders(Path folder) {
        if (!Files.isDirectory(folder) || !Files.isReadable(folder) || isZarr(folder)) {
            return []
        }
        return list(folder).findAll { Path entry -> Files.isDirectory(entry) && !entry.fileName.toString().startsWith('.') }
    }
}
