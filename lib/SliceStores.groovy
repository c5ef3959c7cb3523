import java.nio.file.Path

/** Slice stores (`slice_z03_common.ome.zarr`) of one subject: their ids, neighbours and gaps. */
class SliceStores {

    private static final String NAME = /^slice_z(\d+)_.*/

    /** Id of the slice that a store or file is named after. */
    static long id(Path path) {
        final found = path.fileName.toString() =~ NAME
        if (!found.matches()) {
            throw new IllegalArgumentException("${path}: is not named after a slice")
        }
        return found.group(1) as long
    }

    /** The stores by ascending id. */
    static List<Path> sorted(List<Path> stores) {
        return stores.sort(false) { id(it) }
    }

    /** Each slice and the next one that is there: [name of the second, first, second]. */
    static List<List> pairs(List<Path> stores) {
        return sorted(stores).collate(2, 1, false).findAll { it.size() == 2 }.collect { Path fixed, Path moving ->
            [RawTiles.name(id(moving)), fixed, moving]
        }
    }

    /** Single missing slices between two that are there: [name of the missing one, before, after]. */
    static List<List> gaps(List<Path> stores) {
        return sorted(stores).collate(2, 1, false).findAll { it.size() == 2 && id(it[1]) - id(it[0]) == 2 }.collect { Path before, Path after ->
            [RawTiles.name(id(before) + 1), before, after]
        }
    }
}
