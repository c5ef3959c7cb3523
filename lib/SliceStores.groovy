import java.nio.file.Path

/** Slice stores (`slice_z03_common.ome.zarr`) of one subject: their ids, neighbours and gaps. */
class SliceStores {

    private static final String NAME = /^slice_z(\d+)_.*/

    /** Planes that two slices have to share to be registered though others lie between them. */
    private static final int SHARED = 8

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

    /**
     * Slices that are up to `reach` places apart, but no neighbours, and share some depth: [name, first, second]. The name tells
     * both: z04_from_z02.
     */
    static List<List> farPairs(List<Path> stores, int reach) {
        final all = sorted(stores)
        final List<List> found = []
        all.eachWithIndex { Path fixed, int k ->
            all.drop(k + 2).take(reach - 1).findAll { Path moving -> sharedPlanes(fixed, moving) >= SHARED }.each { Path moving ->
                found << ["${RawTiles.name(id(moving))}_from_${RawTiles.name(id(fixed))}".toString(), fixed, moving]
            }
        }
        return found
    }

    /** Planes of a slice that lie below the top of a later one; 0 where the store does not tell. */
    static double sharedPlanes(Path fixed, Path moving) {
        final text = Json.parse(fixed.resolve('zarr.json').text) as Map
        final interval = text.attributes?.linumpy?.provenance?.slice?.interval_um
        final level = text.attributes?.ome?.multiscales?.first()?.datasets?.first()
        final scale = level?.coordinateTransformations?.find { it.type == 'scale' }?.scale?.first()
        if (interval == null || scale == null) {
            return 0
        }
        final planes = (Json.parse(fixed.resolve(level.path as String).resolve('zarr.json').text) as Map).shape.first()
        return (planes as double) - (id(moving) - id(fixed)) * (interval as double) / (scale as double)
    }

    /** Single missing slices between two that are there: [name of the missing one, before, after]. */
    static List<List> gaps(List<Path> stores) {
        return sorted(stores).collate(2, 1, false).findAll { it.size() == 2 && id(it[1]) - id(it[0]) == 2 }.collect { Path before, Path after ->
            [RawTiles.name(id(before) + 1), before, after]
        }
    }
}
