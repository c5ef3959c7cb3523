/**
 * Holds what the user gave against the schema, before the first task.
 *
 * Nextflow itself accepts any name and any value: a misspelt `--outputt` is ignored without a word,
 * `1e-3` arrives as text and `007` as the number 7. `values` holds each parameter in the type that the
 * schema asks for, `problems` one line for each thing that is wrong.
 */
class ParameterCheck {

    private static final String NUMBER = /[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?/

    final Map<String, Object> values = [:]
    final List<String> problems = []

    private final Schema schema
    private final String commandLine

    /**
     * @param given       the `params` of the run
     * @param schema      the declared parameters
     * @param commandLine the command as typed, to recover text that Nextflow turned into numbers
     */
    ParameterCheck(Map given, Schema schema, String commandLine = '') {
        this.schema = schema
        this.commandLine = commandLine
        unknownNames(given).each { String name -> problems << unknown(name) }
        schema.parameters.each { String name, Map parameter ->
            final value = given.containsKey(name) ? given[name] : parameter.default
            values[name] = convert(name, value, parameter)
        }
    }

    /** Unknown names as the user wrote them: Nextflow adds a camel-case twin for each `--kebab-case` name and back. */
    private List<String> unknownNames(Map given) {
        final unknown = given.keySet().collect { it as String }.findAll { !schema.parameters.containsKey(it) }
        return unknown.findAll { String name ->
            final twins = unknown.findAll { it != name && Spelling.plain(it) == Spelling.plain(name) }
            twins.isEmpty() || commandLine.contains('--' + name) || !twins.any { commandLine.contains('--' + it) } && name <= twins.min()
        }
    }

    private String unknown(String name) {
        final guess = Spelling.nearest(name, schema.parameters.keySet())
        return "--${name}: no such parameter" + (guess ? "; did you mean --${guess}?" : '; --help lists them all')
    }

    private Object convert(String name, Object value, Map parameter) {
        if (value == null) {
            if (parameter.default != null) {
                problems << "--${name}: has no value, needs ${Schema.allowed(parameter)}".toString()
            }
            return null
        }
        final typed = Schema.types(parameter).findResult { String type -> asType(name, value, type) }
        if (typed == null) {
            final text = value instanceof Boolean && !Schema.types(parameter).contains('boolean')
                ? "--${name}: has no value" : "--${name}: '${value}' is not allowed"
            problems << "${text}, needs ${Schema.allowed(parameter)}".toString()
            return value
        }
        final fault = outside(typed, parameter)
        if (fault) {
            problems << "--${name}: '${value}' is not allowed, needs ${Schema.allowed(parameter)}".toString()
        }
        return typed
    }

    /** The value as the JSON type, or null when it is not one. */
    private Object asType(String name, Object value, String type) {
        final text = value.toString().trim()
        switch (type) {
            case 'boolean':
                return value instanceof Boolean ? value : null
            case 'integer':
                final whole = value instanceof Boolean || !(text ==~ NUMBER) ? null : new BigDecimal(text).stripTrailingZeros()
                return whole == null || whole.scale() > 0 ? null : smallest(whole.toBigInteger())
            case 'number':
                return value instanceof Boolean || !(text ==~ NUMBER) ? null : new BigDecimal(text)
            case 'string':
                return value instanceof Map || value instanceof List || value instanceof Boolean && !choices(name).contains(text)
                    ? null : asTyped(name, value)
            default:
                return null
        }
    }

    private static Number smallest(BigInteger whole) {
        return whole.bitLength() < 32 ? (Number) whole.intValue() : whole
    }

    private List<String> choices(String name) {
        return (schema.parameters[name].enum ?: [])*.toString()
    }

    /** Text of a value that Nextflow read as a number, as it stood on the command line (`--subject_name 007`). */
    private String asTyped(String name, Object value) {
        if (!(value instanceof Number)) {
            return value.toString()
        }
        final match = commandLine =~ /--${name}[ =]['"]?([-+.\w]+)/
        return match.find() && match.group(1) ==~ NUMBER ? match.group(1) : value.toString()
    }

    private static boolean outside(Object value, Map parameter) {
        final text = value.toString()
        if (parameter.enum != null) {
            return !parameter.enum*.toString().contains(text)
        }
        if (value instanceof CharSequence && parameter.pattern != null && !(text =~ parameter.pattern).find()) {
            return true
        }
        if (value instanceof String && parameter.minLength != null && text.length() < parameter.minLength) {
            return true
        }
        // A value per axis ("1,2,2") has to keep the bounds in each.
        final parts = value instanceof Number ? [text] : text.tokenize(',')*.trim()
        return parts.findAll { it ==~ NUMBER }.any { String part -> outsideBounds(new BigDecimal(part), parameter) }
    }

    private static boolean outsideBounds(BigDecimal number, Map parameter) {
        return parameter.minimum != null && number < parameter.minimum
            || parameter.maximum != null && number > parameter.maximum
            || parameter.exclusiveMinimum != null && number <= parameter.exclusiveMinimum
            || parameter.exclusiveMaximum != null && number >= parameter.exclusiveMaximum
    }
}
