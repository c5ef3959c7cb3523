/** Writes parameters as command-line flags for a step script. */
class CommandLine {

    /**
     * The parameters that a step owns, sorted by name, as `--name 'value'`.
     *
     * Values of 0, false and '' are written like any other; only an unset (null) value is left out, and
     * then the script's own default holds. Numbers have one spelling (1, 1.0 and 1.00 give `1`), so
     * that the way of typing does not change the task hash.
     */
    static String flags(Map<String, Object> values, Collection<String> names) {
        return names.sort(false)
            .findAll { String name -> values[name] != null }
            .collect { String name -> "--${name} ${quote(text(values[name]))}" }
            .join(' ')
    }

    static String text(Object value) {
        if (value instanceof Number) {
            final number = new BigDecimal(value.toString())
            return number.signum() == 0 ? '0' : number.stripTrailingZeros().toPlainString()
        }
        return value.toString()
    }

    /** Quotes for the shell: nothing inside single quotes is special but the quote itself. */
    static String quote(String value) {
        return "'" + value.replace("'", "'\\''") + "'"
    }
}
