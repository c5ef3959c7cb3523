/** Finds the name that a mistyped one probably meant. */
class Spelling {

    /** The closest known name, or null when none is close. Hyphens and camel case count as spelling. */
    static String nearest(String name, Collection<String> known) {
        final wanted = plain(name)
        final ranked = known.collect { [name: it, distance: distance(wanted, plain(it))] }.sort { it.distance }
        final limit = Math.max(2, wanted.length().intdiv(4))
        return ranked && ranked[0].distance <= limit ? ranked[0].name : null
    }

    static String plain(String name) {
        return name.replaceAll(/([a-z0-9])([A-Z])/) { _all, before, after -> "${before}_${after}" }
            .replace('-', '_')
            .toLowerCase()
    }

    /** Damerau-Levenshtein distance (insertions, deletions, substitutions, swaps of neighbours). */
    static int distance(String a, String b) {
        final int[][] d = new int[a.length() + 1][b.length() + 1]
        (0..a.length()).each { int i -> d[i][0] = i }
        (0..b.length()).each { int j -> d[0][j] = j }
        for (int i = 1; i <= a.length(); i++) {
            for (int j = 1; j <= b.length(); j++) {
                final int cost = a[i - 1] == b[j - 1] ? 0 : 1
                int best = Math.min(Math.min(d[i - 1][j] + 1, d[i][j - 1] + 1), d[i - 1][j - 1] + cost)
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                    best = Math.min(best, d[i - 2][j - 2] + 1)
                }
                d[i][j] = best
            }
        }
        return d[a.length()][b.length()]
    }
}
