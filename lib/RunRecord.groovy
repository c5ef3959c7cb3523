import groovy.json.JsonOutput

import java.nio.file.Files
import java.nio.file.Path

/** Writes down what ran: `params.json`, `versions.json` and, if there are any, `failed_slices.json` in `pipeline_info/`. */
class RunRecord {

    private final Path folder

    RunRecord(Path output) {
        folder = output.resolve('pipeline_info')
        Files.createDirectories(folder)
    }

    /** Every parameter as it was resolved. */
    void parameters(Map<String, Object> values) {
        write('params.json', values)
    }

    /** Versions of the pipeline, the launcher and, from the metrics of the tasks, the library code that computed. */
    void versions(Object workflow, Collection<Path> results) {
        final steps = results.findAll { Path path -> path.fileName.toString().endsWith('_metrics.json') && Files.exists(path) }
            .collect { Path path -> Json.parse(path.toFile()) as Map }
            .collectEntries { Map metrics -> [metrics.step, (metrics.provenance ?: [:]) as Map] }
            .collectEntries { name, provenance -> [name, provenance.subMap(['version', 'code', 'libraries'])] }
        write('versions.json', [
            pipeline: workflow.manifest.version,
            commit: workflow.commitId,
            nextflow: workflow.nextflow.version.toString(),
            java: System.getProperty('java.version'),
            container: RunFacts.image(workflow),
            steps: steps,
        ])
    }

    /** The slices that the run lost and why; what an earlier run wrote is taken away when there are none. */
    void failedSlices(List<Map> failed) {
        if (failed) {
            write('failed_slices.json', failed)
        } else {
            Files.deleteIfExists(folder.resolve('failed_slices.json'))
        }
    }

    private void write(String name, Object content) {
        final text = JsonOutput.prettyPrint(JsonOutput.toJson(content instanceof Map ? new TreeMap(content) : content))
        folder.resolve(name).toFile().setText(text + '\n', 'UTF-8')
    }
}
