import java.nio.file.Path
import java.nio.file.Paths

/** Paths that may be linked into a task's directory: Nextflow quotes blanks, quotes and most signs in them, but not these. */
class SafePath {

    private static final String UNSAFE = /[$*?{\p{Cntrl}]/

    /** Why a path must not reach the shell, null if it may. */
    static String problem(String parameter, Path path) {
        final unsafe = path.toString().find(UNSAFE)
        return unsafe == null ? null : "${parameter}: '${shown(path)}' holds the character '${shown(unsafe)}', which the shell would interpret; rename it".toString()
    }

    /** The folder that the run was started in: tasks run below it. */
    static String launchProblem() {
        return problem('launch directory', Paths.get('').toAbsolutePath())
    }

    private static String shown(Object text) {
        return text.toString().replaceAll(/\p{Cntrl}/) { String sign -> String.format('\\u%04x', (int) sign.charAt(0)) }
    }
}
