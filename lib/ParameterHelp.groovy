/** The text of `--help` and `--help NAME`, written from the schema. */
class ParameterHelp {

    private static final int WIDTH = 110

    /** All parameters by group, one or two lines each. */
    static String all(Schema schema, String usage) {
        final lines = [usage, '']
        schema.groups.each { Map group ->
            lines << "${group.title}"
            (group.parameters as Map<String, Map>).each { String name, Map parameter ->
                lines << "  --${name.padRight(28)} ${signature(parameter)}"
                wrap(parameter.description as String).each { lines << '      ' + it }
            }
            lines << ''
        }
        lines << '--help NAME tells more of one parameter. --check validates a run without starting it.'
        return lines.join('\n')
    }

    /** One parameter in full, or the nearest name when there is none of that name. */
    static String one(Schema schema, String name) {
        final wanted = name.replaceFirst(/^-+/, '')
        final parameter = schema.parameters[wanted]
        if (parameter == null) {
            return null
        }
        final owner = parameter.step ? "step ${parameter.step}" : 'the whole run'
        final lines = [
            "--${wanted}",
            "  type      ${Schema.types(parameter).join(' or ')}",
            "  unit      ${parameter.unit ?: 'none'}",
            "  default   ${defaultOf(parameter)}",
            "  allowed   ${Schema.allowed(parameter)}",
            "  owner     ${owner}",
            ''
        ]
        final text = [parameter.description, parameter.help_text].findAll { it }.join(' ')
        return (lines + wrap(text).collect { '  ' + it }).join('\n')
    }

    private static String signature(Map parameter) {
        final parts = [Schema.types(parameter).join('|')]
        if (parameter.unit) {
            parts << "[${parameter.unit}]"
        }
        parts << "default ${defaultOf(parameter)}"
        final limits = parameter.enum ? Schema.allowed(parameter) - 'one of ' : Schema.range(parameter)
        if (limits) {
            parts << "(${limits})"
        }
        return parts.join('  ')
    }

    private static String defaultOf(Map parameter) {
        if (parameter.default == null) {
            return 'none'
        }
        return parameter.default == '' ? "''" : parameter.default.toString()
    }

    private static List<String> wrap(String text) {
        final lines = ['']
        (text ?: '').tokenize().each { String word ->
            if (lines.last().length() + word.length() + 1 > WIDTH) {
                lines << ''
            }
            lines[-1] = lines.last() ? lines.last() + ' ' + word : word
        }
        return lines
    }
}
