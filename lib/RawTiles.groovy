import java.nio.file.Files
import java.nio.file.Path

/** The raw tiles of an acquisition, `tile_x*_y*_z*` folders, by slice; the same rules as linumpy_lib/acquisition/discovery.py. */
class RawTiles {

    private static final String NAME = /tile_x(\d+)_y(\d+)_z(\d+)/
    private static final int DIGITS = 6

    /** Tile folders by slice id, both sorted. */
    final Map<Long, List<Path>> slices = new TreeMap<>()
    final List<String> problems = []

    private final Map<String, Path> places = [:]

    /**
     * @param root the folder to search
     * @param flat true to take only the tiles that lie directly in it
     */
    RawTiles(Path root, boolean flat) {
        search(root, flat)
        if (!slices) {
            final where = flat ? 'directly in it (use_old_folder_structure is true)' : 'in it or below'
            problems << "--input: '${root}' holds no folder tile_x*_y*_z* ${where}; preprocess needs raw tiles".toString()
        }
        slices.values().each { it.sort(true) }
    }

    /** One item for each slice: [meta Map(id: acquisition, slice: 'z03'), tiles, fingerprint]. */
    List<List> items(String id) {
        return slices.collect { long slice, List<Path> tiles ->
            [[id: id, slice: name(slice)], tiles, tiles.collect { Path tile -> Fingerprint.of(tile) }.join(' ').md5()]
        }
    }

    /** How file names spell a slice: z and at least two digits. */
    static String name(long slice) {
        return 'z' + slice.toString().padLeft(2, '0')
    }

    private void search(Path folder, boolean flat) {
        final entries = Files.list(folder)
        final List<Path> folders
        try {
            folders = entries.filter { Path entry -> Files.isDirectory(entry) }.sorted().toList()
        } finally {
            entries.close()
        }
        folders.each { Path entry ->
            final found = entry.fileName.toString() =~ NAME
            if (found.matches() && (1..3).any { int group -> found.group(group).replaceFirst(/^0+/, '').length() > DIGITS }) {
                problems << "--input: '${entry.fileName.toString().take(80)}' has an index of more than ${DIGITS} digits; rename the folder".toString()
            } else if (found.matches()) {
                take(entry, (1..3).collect { int group -> found.group(group) as long })
            } else if (!flat && !entry.fileName.toString().startsWith('.')) {
                search(entry, flat)
            }
        }
    }

    private void take(Path tile, List<Long> place) {
        final unsafe = SafePath.problem('--input', tile)
        if (unsafe) {
            problems << unsafe
            return
        }
        final key = place.join(' ')
        if (places.containsKey(key)) {
            problems << "--input: two tiles with one id: '${places[key]}' and '${tile}'; remove or rename one".toString()
            return
        }
        places[key] = tile
        slices.computeIfAbsent(place[2]) { [] } << tile
    }
}
