import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.Paths
import java.util.stream.Stream

/** The folder of a multi-view recording that `--input` names when the chain begins with fusion. */
class InputRecording {

    private static final String STACK = /(?i)SP[CM]\d+_TM\d+_ANG\d+_CM\d+_CHN\d+(_PH\d+)?\.(stack|klb|tiff?|(ome\.)?zarr)/
    private static final int DEPTH = 4

    /** One map: [id: String, path: Path]; empty when there is a problem. */
    List<Map> volumes = []
    final List<String> problems = []

    /**
     * @param folder  the folder, relative to the directory that the run was started in
     * @param subject the subject name, '' to take the folder's name
     */
    InputRecording(String folder, String subject) {
        if (!folder) {
            problems << '--input: is missing, needs the folder of a multi-view recording, or simulate'
            return
        }
        final path = Paths.get(folder).toAbsolutePath().normalize()
        if (!Files.isDirectory(path)) {
            problems << "--input: '${folder}' is no folder; fusion needs the folder that holds SPM00".toString()
            return
        }
        // Nextflow does not quote these when it links inputs into a task's directory.
        final unsafe = path.toString().find(/[$*?{\p{Cntrl}]/)
        if (unsafe) {
            problems << "--input: '${path}' holds the character '${unsafe}', which the shell would interpret; rename it".toString()
            return
        }
        if (!holdsStack(path)) {
            problems << ("--input: '${folder}' holds no stack; fusion needs the folder with " +
                'SPM00/TM00000/ANG000/SPC00_TM00000_ANG000_CM0_CHN00_PH0.stack').toString()
            return
        }
        final name = path.fileName.toString().replaceAll(/[^A-Za-z0-9._-]+/, '_').replaceAll(/^_+|_+$/, '')
        volumes = [[id: subject ?: name ?: 'recording', path: path]]
    }

    private static boolean holdsStack(Path folder) {
        final Stream<Path> walk = Files.walk(folder, DEPTH)
        try {
            return walk.anyMatch { Path entry -> entry.fileName.toString() ==~ STACK }
        } finally {
            walk.close()
        }
    }
}
