import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.Paths

/** The folder of raw tiles that `--input` names when the chain begins with preprocess. */
class InputAcquisition {

    /** One map: [id: String, path: Path]; empty when there is a problem. */
    List<Map> volumes = []
    final List<String> problems = []

    /**
     * @param folder  the folder, relative to the directory that the run was started in
     * @param subject the subject name, '' to take a part 'sub-…' of the path, else the folder's name
     * @param flat    true to take only the tiles that lie directly in it
     */
    InputAcquisition(String folder, String subject, boolean flat) {
        if (!folder) {
            problems << '--input: is missing, needs the folder of the raw tiles, or simulate'
            return
        }
        final path = Paths.get(folder).toAbsolutePath().normalize()
        if (!Files.isDirectory(path)) {
            problems << "--input: '${folder}' is no folder; preprocess needs the folder that holds the tile_x*_y*_z* folders".toString()
            return
        }
        final unsafe = SafePath.problem('--input', path)
        if (unsafe) {
            problems << unsafe
            return
        }
        problems.addAll(new RawTiles(path, flat).problems)
        volumes = [[id: subject ?: name(path), path: path]]
    }

    private static String name(Path path) {
        final part = path.collect { it.toString() }.find { it ==~ /sub-\w+/ } ?: path.fileName.toString()
        return part.replaceAll(/[^A-Za-z0-9._-]+/, '_').replaceAll(/^[_-]+|_+$/, '') ?: 'acquisition'
    }
}
