import java.nio.file.Files
import java.nio.file.Path
import java.nio.file.Paths

/**
 * What one run is going to do, checked before the first task.
 *
 * `main.nf` hands over `params` once; from here on parameters travel as data, each step with the subset it owns.
 */
class RunPlan {

    /** The word that `--input` takes instead of a path. */
    static final String SIMULATE = 'simulate'

    private static final String USAGE = '''\
        Usage: nextflow run main.nf -profile <cpu|gpu|mps>[,slurm][,apptainer|docker] \\
                   --workflow <list> --input <path> --output <dir> [parameters]'''.stripIndent()

    final Schema schema
    final Map<String, Object> values
    final WorkflowChain chain
    final Path output
    final List<Map> volumes
    final List<String> problems

    private final File project
    private final Object found

    /**
     * @param params      the parameters of the run
     * @param project     the directory of `main.nf`
     * @param commandLine the command as typed
     */
    RunPlan(Map params, Path project, String commandLine) {
        this.project = project.toFile()
        schema = Schema.read(new File(this.project, 'nextflow_schema.json'))
        // `--help` without a name arrives as true.
        final check = new ParameterCheck(params + [help: params.help.toString()], schema, commandLine)
        values = check.values
        chain = new WorkflowChain(text('workflow'))
        output = Paths.get(text('output') ?: '.').toAbsolutePath().normalize()
        found = simulated ? null : inputs()
        volumes = found ? found.volumes : []
        problems = check.problems + chain.problems + (found ? found.problems : []) + simulationProblems() + outputProblems() + pathProblems()
    }

    /** True when the input is made by the pipeline itself. */
    boolean isSimulated() {
        return values.input == SIMULATE
    }

    /** True when the run begins with raw tiles. */
    boolean isRaw() {
        return chain.first == 'preprocess'
    }

    /** True when the run begins with mosaics. */
    boolean isMosaics() {
        return chain.first == 'reconstruct'
    }

    /** True when the run begins with a multi-view recording. */
    boolean isRecording() {
        return chain.first == 'fusion'
    }

    /** Name of the simulated volume or acquisition. */
    String getSubject() {
        return text('subject_name') ?: (raw || recording ? 'simulated' : 'fibres')
    }

    /** The device that the steps compute on; `use_gpu` is the older spelling and wins where it is given. */
    String getDevice() {
        return [true: 'auto', false: 'cpu'][text('use_gpu')] ?: text('device')
    }

    /** What a process needs to know of its step: its flags and the hash of its code, which `-resume` looks at. */
    Map<String, String> step(String name) {
        return [flags: CommandLine.flags(values, schema.ownedBy(name)), code: CodeHash.of(project, name)]
    }

    /** Several steps by name. */
    Map<String, Map<String, String>> steps(String... names) {
        return names.collectEntries { String name -> [name, step(name)] }
    }

    /** What the processes of the workflow reconstruct need to know of their steps. */
    Map<String, Map<String, String>> getReconstruction() {
        return steps(
            'resample_mosaic_grid', 'fix_focal_curvature', 'fix_illumination', 'estimate_global_transform', 'stitch_slice',
            'correct_beam_profile', 'crop_interface', 'compensate_attenuation', 'measure_slice', 'match_slices', 'normalize_slice',
            'analyze_shifts', 'detect_rehoming', 'align_common_space', 'interpolate_slice', 'finalise_interpolation',
            'assess_quality', 'register_pair', 'exclude_clusters', 'export_manual_align', 'refine_manual_transforms', 'stack_slices',
            'analyze_acquisition_rotation', 'analyze_rotation_drift', 'stitch_motor_only', 'compare_stitching', 'stack_motor_only', 'correct_bias_field', 'align_to_ras',
        )
    }

    /** What the processes of the workflow fusion need to know of their steps. */
    Map<String, Map<String, String>> getFusion() {
        return steps('discover_views', 'correct_view', 'join_masks', 'register_views', 'smooth_parameters', 'fuse_views')
    }

    /** Volumes as channel items: [meta Map(id), path, fingerprint]. */
    List<List> getItems() {
        return volumes.collect { Map volume -> [[id: volume.id], volume.path, Fingerprint.of(volume.path as Path)] }
    }

    /** Mosaics as channel items: [meta Map(id, slice), path, fingerprint]. */
    List<List> getMosaicItems() {
        final id = volumes.first().id
        return (found as InputMosaics).mosaics.collect { long slice, Path path ->
            [[id: id, slice: RawTiles.name(slice)], path, Fingerprint.of(path)]
        }
    }

    /** The tables that come with the mosaics: [meta Map(id), shifts Path, slice config Path or an empty list]. */
    List<Object> getTables() {
        return [[id: volumes.first().id], (found as InputMosaics).shifts, (found as InputMosaics).config ?: []]
    }

    /** A file that a parameter names, as a path for a process; an empty list when it names none. */
    Object file(String parameter) {
        return text(parameter) ? Paths.get(text(parameter)).toAbsolutePath().normalize() : []
    }

    /** The text of `--help` or `--help NAME`. */
    String help(Object wanted) {
        Head.forgetRun()
        if (wanted in [true, 'true']) {
            return ParameterHelp.all(schema, USAGE)
        }
        final one = ParameterHelp.one(schema, wanted as String)
        final guess = one ? null : Spelling.nearest(wanted as String, schema.parameters.keySet())
        return one ?: "--help: there is no parameter '${wanted}'" + (guess ? "; did you mean ${guess}?" : '; --help lists them all')
    }

    /** The plan that `--check` shows; what only Python can tell of the inputs is added to the problems. */
    String check() {
        final lines = ["Workflow  ${chain.names.join(', ')}", "Output    ${output}", "Device    ${device}"]
        volumes.each { Map volume -> lines << "Input     ${volume.id}: ${volume.path} (${size(Fingerprint.bytes(volume.path as Path))})" }
        if (simulated) {
            lines << "Input     ${subject}: simulated"
        }
        if (!problems) {
            final words = ['workflow', 'input', 'output', 'subject_name', 'anisotropy_slabs', 'anisotropy_channel', 'use_old_folder_structure',
                'axial_resolution', 'mosaic_resolution', 'sharding_factor', 'preprocess', 'shifts_xy', 'slice_config', 'resolution',
                'registration_slicing_interval_mm', 'specimen', 'timepoints', 'cameras', 'channels', 'camera_channel_map', 'camera_pairs',
                'reference_channels', 'dependent_channels', 'fusion_enable', 'fusion_camera_pairs', 'fusion_channel_pairs', 'fusion_4view_only',
                'generate_aips', 'generate_previews', 'fix_curvature_enabled', 'correct_bias_field'].
                collectMany { String name -> ["--${name}".toString(), text(name)] }
            final found = HeadCheck.run(project, words)
            lines << found.text
            problems.addAll(found.problems)
        }
        if (!problems) {
            Head.forgetRun()
        }
        return lines.join('\n')
    }

    private static String size(long bytes) {
        return bytes < 1 << 20 ? "${bytes} bytes" : String.format(Locale.ROOT, '%.1f GiB', bytes / (1L << 30))
    }

    /** All that is wrong, one line each; the run is not going to start. */
    String complaint() {
        Head.forgetTrace()
        Head.forgetRun()
        final heading = problems.size() == 1 ? 'This run cannot start:' : "This run cannot start, for ${problems.size()} reasons:"
        return ([heading] + problems.collect { '  ' + it }).join('\n')
    }

    private String text(String name) {
        return values[name] == null ? '' : values[name].toString()
    }

    /** What `--input` names: raw tiles, mosaics or volumes; [volumes: List<Map>, problems: List<String>]. */
    private Object inputs() {
        if (mosaics) {
            return new InputMosaics(text('input'), text('subject_name'), text('shifts_xy'), text('slice_config'))
        }
        if (recording) {
            return new InputRecording(text('input'), text('subject_name'))
        }
        return raw
            ? new InputAcquisition(text('input'), text('subject_name'), values.use_old_folder_structure as boolean)
            : new InputVolumes(text('input'), text('subject_name'))
    }

    /** Files that parameters name, and the launch directory: all that is linked into tasks beside the input. */
    private List<String> pathProblems() {
        final named = ['atlas_template', 'atlas_annotation', 'manual_transforms_dir', 'report_thresholds'] + (mosaics ? [] : ['shifts_xy', 'slice_config'])
        return (named.findAll { text(it) }.collect { String name -> pathProblem(name) } + SafePath.launchProblem()).findAll()
    }

    private String pathProblem(String name) {
        final path = file(name) as Path
        if (name in ['shifts_xy', 'slice_config'] && !chain.contains('reconstruct')) {
            return "--${name}: is read by reconstruct, which this run does not contain; leave it out".toString()
        }
        if (!Files.exists(path)) {
            return "--${name}: '${text(name)}' does not exist; check the path".toString()
        }
        return SafePath.problem("--${name}", path)
    }

    private List<String> simulationProblems() {
        if (simulated && mosaics) {
            return ['--input: simulate makes raw tiles or volumes, no mosaics; use --workflow preprocess,reconstruct']
        }
        return simulated && raw ? simulatedSizes() : []
    }

    /** What the steps have to know of a simulated acquisition is taken from the simulation, unless the user tells otherwise. */
    private List<String> simulatedSizes() {
        final pairs = [['simulate_oct_axial_um', 'axial_resolution', 1], ['simulate_oct_interval_um', 'registration_slicing_interval_mm', 1000]]
        return pairs.findAll { from, to, factor -> differ(from as String, to as String, factor as int) }.collect { from, to, factor ->
            final value = (text(from as String) as BigDecimal) / (factor as int)
            if (text(to as String) == schema.parameters[to].default.toString()) {
                values[to as String] = value
                return null
            }
            return "--${to}: is ${values[to]}, but --${from} is ${values[from]}; leave one of them out".toString()
        }.findAll()
    }

    private boolean differ(String first, String second, int factor) {
        return Math.abs((text(first) as double) - factor * (text(second) as double)) > 1e-6
    }

    private List<String> outputProblems() {
        if (!text('output')) {
            return ['--output: is empty, needs a directory']
        }
        Path existing = output
        while (!Files.exists(existing)) {
            existing = existing.parent
        }
        if (!Files.isDirectory(existing)) {
            return ["--output: '${existing}' is a file, needs a directory".toString()]
        }
        if (!Files.isWritable(existing)) {
            return ["--output: '${existing}' is not writable; choose another directory".toString()]
        }
        return volumes.findAll { output.startsWith(it.path as Path) }.collect { Map volume ->
            "--output: '${output}' lies inside the input '${volume.path}'; choose another directory".toString()
        }
    }
}
