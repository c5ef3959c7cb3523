// Resolves many combinations of profiles in one Java process, as `nextflow config -flat -profile ...` does one by one.

import nextflow.cli.CliOptions
import nextflow.config.ConfigBuilder
import nextflow.util.ConfigHelper

workflow {
    new File(params.combinations).readLines().each { profiles ->
        def config = new ConfigBuilder()
            .setShowClosures(true)
            .setStripSecrets(true)
            .setOptions(new CliOptions())
            .setBaseDir(java.nio.file.Paths.get(params.project))
            .setProfile(profiles)
            .buildConfigObject()
        new File("${params.folder}/${profiles}.txt").text = ConfigHelper.toFlattenString(config)
    }
}
