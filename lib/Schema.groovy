/**
 * The parameters of the pipeline, read from `nextflow_schema.json`, which is generated from the
 * step dataclasses. Nothing else in the Groovy code knows a parameter's type, range or owner.
 */
class Schema {

    /** Groups in the order of the file: [title: String, description: String, parameters: Map<String, Map>]. */
    final List<Map> groups

    /** Every parameter by name, in the order of the file. */
    final Map<String, Map> parameters = [:]

    Schema(Map document) {
        final definitions = document['$defs'] as Map
        groups = (document.allOf as List<Map>).collect { Map reference ->
            final group = definitions[(reference['$ref'] as String).tokenize('/').last()] as Map
            [title: group.title, description: group.description, parameters: group.properties as Map]
        }
        groups.each { Map group -> parameters.putAll(group.parameters as Map) }
    }

    static Schema read(File file) {
        return new Schema(Json.parse(file) as Map)
    }

    /** Types that a parameter takes; a single type in the schema becomes a list of one. */
    static List<String> types(Map parameter) {
        return parameter.type instanceof List ? parameter.type as List<String> : [parameter.type as String]
    }

    /** Names of the parameters that one step owns, sorted. */
    List<String> ownedBy(String step) {
        return parameters.findAll { _name, parameter -> parameter.step == step }.keySet().sort()
    }

    /** What is allowed, in words: "a number from 0 to 1 [um]", "one of cpu, cuda". */
    static String allowed(Map parameter) {
        if (parameter.enum) {
            return 'one of ' + (parameter.enum as List).collect { it == '' ? 'empty' : it }.join(', ')
        }
        final words = [integer: 'a whole number', number: 'a number', boolean: 'true or false', string: 'text']
        final kinds = types(parameter).findAll { it != 'null' }.collect { words[it] ?: it }
        final text = [parameter.form ?: kinds.join(' or '), range(parameter)]
        if (parameter.unit) {
            text << "[${parameter.unit}]".toString()
        }
        if (parameter.pattern && !parameter.form) {
            text << "like ${parameter.pattern}".toString()
        }
        return text.findAll { it }.join(' ')
    }

    /** The range in words, '' when there is none. */
    static String range(Map parameter) {
        final bounds = []
        if (parameter.minimum != null) {
            bounds << "at least ${parameter.minimum}"
        }
        if (parameter.exclusiveMinimum != null) {
            bounds << "above ${parameter.exclusiveMinimum}"
        }
        if (parameter.maximum != null) {
            bounds << "at most ${parameter.maximum}"
        }
        if (parameter.exclusiveMaximum != null) {
            bounds << "below ${parameter.exclusiveMaximum}"
        }
        return bounds.join(' and ')
    }
}
