import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.Paths

/** The mosaics and tables that `--input` names when the chain begins with reconstruct. */
class InputMosaics {

    private static final String NAME = /mosaic_grid\w*_z(\d+)\w*\.ome\.zarr/
    private static final List<String> CONTAINERS = ['mosaic-grids', 'mosaics', 'mosaic_grids', 'input', 'data', 'preprocess']

    /** One map: [id: String, path: Path]; empty when there is a problem. */
    List<Map> volumes = []
    /** Mosaic stores by slice id, ascending. */
    final Map<Long, Path> mosaics = new TreeMap<>()
    /** `shifts_xy.csv`, and `slice_config.csv` or null. */
    Path shifts
    Path config
    final List<String> problems = []

    /**
     * @param folder  folder that holds the mosaics, relative to the directory that the run was started in
     * @param subject the subject name, '' to take it from the path
     * @param shifts  the table of shifts, '' for the one in the folder
     * @param config  the table of slices, '' for the one in the folder, if any
     */
    InputMosaics(String folder, String subject, String shifts, String config) {
        if (!folder) {
            problems << '--input: is missing, needs the folder of the mosaics, or simulate with preprocess before reconstruct'
            return
        }
        final root = Paths.get(folder).toAbsolutePath().normalize()
        if (!Files.isDirectory(root)) {
            problems << "--input: '${folder}' is no folder; reconstruct needs the folder that holds the mosaic_grid*_z*.ome.zarr stores".toString()
            return
        }
        final unsafe = SafePath.problem('--input', root)
        if (unsafe) {
            problems << unsafe
            return
        }
        search(root)
        this.shifts = table('--shifts_xy', shifts, root.resolve('shifts_xy.csv'), true)
        this.config = table('--slice_config', config, root.resolve('slice_config.csv'), false)
        volumes = [[id: subject ?: name(root), path: root]]
    }

    private void search(Path root) {
        final entries = Files.list(root)
        try {
            entries.sorted().forEach { Path entry ->
                final found = entry.fileName.toString() =~ NAME
                if (found.matches()) {
                    final id = found.group(1) as long
                    if (mosaics.containsKey(id)) {
                        problems << "--input: two mosaics of slice ${id}: '${mosaics[id]}' and '${entry}'; remove one".toString()
                    }
                    mosaics[id] = entry
                }
            }
        } finally {
            entries.close()
        }
        if (!mosaics) {
            problems << "--input: '${root}' holds no mosaic_grid*_z*.ome.zarr; make mosaics with --workflow preprocess".toString()
        }
    }

    private Path table(String parameter, String given, Path usual, boolean needed) {
        final path = given ? Paths.get(given).toAbsolutePath().normalize() : usual
        if (Files.isRegularFile(path)) {
            final unsafe = SafePath.problem(parameter, path)
            problems.addAll(unsafe ? [unsafe] : [])
            return path
        }
        if (given || needed) {
            problems << "${parameter}: '${path}' is no file; give the table with ${parameter}".toString()
        }
        return null
    }

    /** A part 'sub-…' of the path, else the folder's name, or its parent's where it only says what it holds. */
    private static String name(Path root) {
        final part = root.collect { it.toString() }.find { it ==~ /sub-\w+/ }
        final own = root.fileName.toString()
        final chosen = part ?: (own in CONTAINERS && root.parent?.fileName ? root.parent.fileName.toString() : own)
        return chosen.replaceAll(/[^A-Za-z0-9._-]+/, '_').replaceAll(/^[_-]+|_+$/, '') ?: 'brain'
    }
}
