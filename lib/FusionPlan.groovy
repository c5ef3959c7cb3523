import java.nio.file.Path

/** What a run makes of a multi-view recording: the plan that DISCOVER_VIEWS wrote, as channel items. */
class FusionPlan {

    private static final List<String> OVER_TIME = ['fusion_temporal_smoothing', 'fusion_temporal_interpolation', 'fusion_static']

    private final Map plan

    FusionPlan(Path file) {
        plan = Json.parse(file.text) as Map
    }

    /** Views: [meta Map(id, timepoint, camera, channel), view's JSON Path, recording Path, fingerprint of the view's stack]. */
    static List<List> views(Collection<Path> files, Path recording) {
        return files.sort(false) { it.name }.collect { Path file ->
            final view = Json.parse(file.text) as Map
            final meta = [id: view.stem, timepoint: view.timepoint, camera: view.camera, channel: view.channel]
            final stack = Fingerprint.of(recording.resolve(view.stack as String))
            final dark = view.background ? Fingerprint.of(recording.resolve(view.background as String)) : ''
            [meta, file, recording, "${stack} ${dark}".toString()]
        }
    }

    /** Whether views are fused at all. */
    boolean isFused() {
        return plan.fuse
    }

    /** Whether the fusions of pairs are results, where they are fused once more. */
    boolean isPairsKept() {
        return plan.keep_pairs
    }

    /** Channels whose joined masks a view of a channel takes; empty where it takes its own. */
    List<Integer> maskChannels(int channel) {
        final group = (plan.mask_groups as List<Map>).find { Map group -> channel in group.reference || channel in group.dependent }
        return group && !(group.reference == [channel]) ? group.reference as List<Integer> : []
    }

    /** Name of the global mask that the views of a camera take. */
    String globalMask(int camera) {
        return (plan.global_masks as Map<String, String>)[camera as String]
    }

    /** Pairs of corrected views: [meta Map(id, timepoint, folder), id of the first view, id of the second]. */
    List<List> pairs() {
        final there = plan.views.collect { Map view -> [view.timepoint, view.camera, view.channel] } as Set
        final sheets = plan.channel_pairs as List<List<Integer>>
        return timepoints().collectMany { int t ->
            final ofChannels = sheets.collectMany { List<Integer> two ->
                cameras().findAll { int c -> [t, c, two[0]] in there && [t, c, two[1]] in there }.collect { int c -> pair(t, [[c], [c]], [[two[0]], [two[1]]]) }
            }
            final ofCameras = (plan.camera_pairs as List<List<Integer>>).collectMany { List<Integer> two ->
                alone().findAll { int h -> [t, two[0], h] in there && [t, two[1], h] in there }.collect { int h -> pair(t, [[two[0]], [two[1]]], [[h], [h]]) }
            }
            ofChannels + ofCameras
        }
    }

    /** Pairs of fused light sheets, one of each camera of a camera pair; like `pairs`, of ids of fused views. */
    List<List> fourViews() {
        final made = pairs().collect { it[0].id } as Set
        return timepoints().collectMany { int t ->
            (plan.channel_pairs as List<List<Integer>>).collectMany { List<Integer> sheets ->
                (plan.camera_pairs as List<List<Integer>>).collect { List<Integer> two -> pair(t, [[two[0]], [two[1]]], [sheets, sheets]) }
            }
        }.findAll { item -> item[1] in made && item[2] in made }
    }

    /** Pairs that cannot be fused because one view was not recorded, for people. */
    List<String> incomplete() {
        return (plan.missing as List<List<Integer>>).collect { List<Integer> key -> stem(key[0], [key[1]], [key[2]]) }
    }

    /** Whether a pair waits for the parameters of all time points. */
    static boolean isSmoothed(Map<String, Object> values) {
        return OVER_TIME.any { String name -> values[name] }
    }

    private List<Integer> timepoints() {
        return plan.timepoints as List<Integer>
    }

    private List<Integer> cameras() {
        return plan.views*.camera.unique().sort() as List<Integer>
    }

    /** Channels that are in no pair of light sheets. */
    private List<Integer> alone() {
        return (plan.views*.channel.unique().sort() as List<Integer>) - (plan.channel_pairs as List<List<Integer>>).flatten()
    }

    private List pair(int timepoint, List<List<Integer>> cameras, List<List<Integer>> channels) {
        final allCameras = cameras.flatten().unique() as List<Integer>
        final allChannels = channels.flatten().unique() as List<Integer>
        final several = alone().size() > 1 || plan.channel_pairs
        final folder = "cam${allCameras.join('_')}" + (several ? "_chn${allChannels.join('_')}" : '')
        final meta = [id: stem(timepoint, allCameras, allChannels), timepoint: timepoint, folder: "${time(timepoint)}/${folder}".toString()]
        return [meta, stem(timepoint, cameras[0], channels[0]), stem(timepoint, cameras[1], channels[1])]
    }

    static String time(int timepoint) {
        return String.format(Locale.ROOT, 'TM%06d', timepoint)
    }

    private String stem(int timepoint, List<Integer> cameras, List<Integer> channels) {
        final ofCameras = cameras.collect { int c -> String.format(Locale.ROOT, '_CM%02d', c) }.join('')
        final ofChannels = channels.collect { int c -> String.format(Locale.ROOT, '_CHN%02d', c) }.join('')
        return String.format(Locale.ROOT, 'SPM%02d_', plan.specimen as int) + time(timepoint) + ofCameras + ofChannels
    }
}
