import groovy.json.JsonSlurper

import java.nio.file.Files
import java.nio.file.Path

/** What results mean, for snapshots: names, shapes and voxel sizes of stores, tables to a tenth; no bytes. */
class Meaning {

    /** Files and stores below a folder, without what the stores hold. */
    static List<String> names(Path folder) {
        return walk(folder).collect { Path path -> folder.relativize(path).toString() }.sort()
    }

    /** Shape, type and scale of the first level of every store below a folder. */
    static Map<String, Map> stores(Path folder) {
        return walk(folder).findAll { Path path -> Files.exists(path.resolve('zarr.json')) }.sort().collectEntries { Path path ->
            final group = new JsonSlurper().parseText(path.resolve('zarr.json').text)
            final level = group.attributes?.ome?.multiscales?.first()?.datasets?.first()
            if (!level) {
                return [folder.relativize(path).toString(), [:]]
            }
            final array = new JsonSlurper().parseText(path.resolve(level.path as String).resolve('zarr.json').text)
            final scale = level.coordinateTransformations.find { it.type == 'scale' }.scale.collect { number -> round(number as double, 4) }
            [folder.relativize(path).toString(), [shape: array.shape, type: array.data_type, scale: scale]]
        }
    }

    /** Rows of a table; numbers with a fraction are rounded to a tenth. */
    static List<List<String>> table(Path file) {
        return file.readLines().collect { String line ->
            line.split(',', -1).collect { String word -> word ==~ /-?\d+\.\d+/ ? round(word as double, 1).toString() : word }
        }
    }

    private static List<Path> walk(Path folder) {
        final found = []
        folder.eachFile { Path path ->
            if (Files.isDirectory(path) && !path.fileName.toString().endsWith('.zarr')) {
                found.addAll(walk(path))
            } else {
                found << path
            }
        }
        return found
    }

    // Never -0.0.
    private static double round(double number, int digits) {
        return Math.round(number * 10**digits) / (double) 10**digits + 0.0d
    }
}
