/** Which workflows there are, and which may follow which in `--workflow a,b,c`. */
class WorkflowChain {

    /** Every workflow of the pipeline and those that take its result. */
    static final Map<String, List<String>> FOLLOWERS = [
        preprocess: ['reconstruct'],
        reconstruct: ['anisotropy'],
        anisotropy: [],
        fusion: ['anisotropy'],
    ]

    final List<String> names
    final List<String> problems = []

    WorkflowChain(String text) {
        names = text.tokenize(',')*.trim()
        if (!names) {
            problems << "--workflow: is empty, needs one of ${FOLLOWERS.keySet().join(', ')}".toString()
        }
        names.findAll { !FOLLOWERS.containsKey(it) }.unique(false).each { String name ->
            final guess = Spelling.nearest(name, FOLLOWERS.keySet())
            final remedy = guess ? "did you mean ${guess}?" : "there are ${FOLLOWERS.keySet().join(', ')}"
            problems << "--workflow: no workflow '${name}'; ${remedy}".toString()
        }
        names.countBy { it }.findAll { it.value > 1 }.each { String name, int _count ->
            problems << "--workflow: '${name}' is named twice".toString()
        }
        if (!problems) {
            checkOrder()
        }
    }

    boolean contains(String name) {
        return names.contains(name)
    }

    /** The first workflow, which reads `--input`. */
    String getFirst() {
        return names ? names.first() : ''
    }

    private void checkOrder() {
        names.collate(2, 1, false).each { List<String> pair ->
            final followers = FOLLOWERS[pair[0]]
            if (!followers.contains(pair[1])) {
                final remedy = followers ? "${pair[0]} is followed by ${followers.join(' or ')}" : "${pair[0]} is the last of a chain"
                problems << "--workflow: '${pair[1]}' cannot follow '${pair[0]}'; ${remedy}".toString()
            }
        }
    }
}
