/** How many tasks a volume is split over. */
class Slabs {

    private static final long BYTES_PER_SLAB = 8L << 30
    private static final int MOST = 64

    /** The slabs of a volume: [index from 1, count, folder of its results], of which one slab is the whole. */
    static List<Map> of(int count) {
        return (1..count).collect { int index ->
            [index: index, count: count, folder: count == 1 ? 'maps' : "slab_${index}_of_${count}".toString()]
        }
    }

    /** One slab for each 8 GiB on disk: hours of work on few cores, and a part small enough to repeat. */
    static int forBytes(long bytes) {
        return Math.max(1L, Math.min((long) MOST, bytes.intdiv(BYTES_PER_SLAB) + (bytes % BYTES_PER_SLAB ? 1 : 0))) as int
    }
}
