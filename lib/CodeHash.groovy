import java.security.MessageDigest

/** Content hash of the code that a step runs: what Nextflow's own task hash leaves out. */
class CodeHash {

    private static final int DIGITS = 16

    private static final String PACKAGE = 'linumpy_lib'
    private static final String FROM = /(?m)^[ \t]*from[ \t]+(linumpy_lib(?:\.\w+)*)[ \t]+import[ \t]*(\([^)]*\)|[^\n#;]+)/
    private static final String IMPORT = /(?m)^[ \t]*import[ \t]+([^\n#;]+)/

    static String sha256(byte[] bytes) {
        return MessageDigest.getInstance('SHA-256').digest(bytes).encodeHex().toString()
    }

    /**
     * Hash of `bin/<step>.py` and of every library module that it imports, directly or not.
     *
     * Nextflow hashes `bin/` but not the library, so a library fix would be skipped by `-resume`; with this hash
     * as an input, exactly the steps that reach the changed file run again. `provenance.code_hash` is the same
     * in Python.
     */
    static String of(File project, String step) {
        final script = "bin/${step}.py".toString()
        final reached = [script] as TreeSet<String>
        final open = [script] as ArrayDeque<String>
        while (open) {
            imported(project, new File(project, open.poll()).getText('UTF-8')).each { String path ->
                if (reached.add(path)) {
                    open << path
                }
            }
        }
        final lines = reached.collect { String path -> "${path}\0${sha256(new File(project, path).bytes)}\n" }
        return sha256(lines.join('').getBytes('UTF-8')).substring(0, DIGITS)
    }

    /** Library files (relative to the project) that the import lines of a source reach; packages on the way count. */
    private static Set<String> imported(File project, String source) {
        final modules = [] as Set<String>
        (source =~ FROM).each { List<String> match ->
            modules << match[1]
            match[2].replaceAll(/#[^\n]*/, '').findAll(/\w+(?:\s+as\s+\w+)?/).each { String name ->
                modules << "${match[1]}.${name.tokenize().first()}".toString()
            }
        }
        (source =~ IMPORT).each { List<String> match ->
            modules.addAll(match[1].tokenize(',').collect { it.tokenize().first() }.findAll { it.tokenize('.').first() == PACKAGE })
        }
        return modules.collectMany { String module -> filesOf(project, module) } as Set<String>
    }

    private static List<String> filesOf(File project, String module) {
        final parts = module.tokenize('.')
        final candidates = (1..parts.size()).collect { int n -> parts.take(n).join('/') + '/__init__.py' }
        candidates << parts.join('/') + '.py'
        return candidates.findAll { String path -> new File(project, path).isFile() }
    }
}
