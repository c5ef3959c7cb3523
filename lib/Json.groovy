import groovy.json.JsonSlurper

/** JSON as plain maps and lists, in the order of the text. */
class Json {

    /** Parses a text. */
    static Object parse(String text) {
        return plain(new JsonSlurper().parseText(text))
    }

    /** Parses a file. */
    static Object parse(File file) {
        return plain(new JsonSlurper().parse(file, 'UTF-8'))
    }

    // The parser's own maps fill themselves when they are first read, and two operators that read one at the same time
    // see it half filled: pairs of views and slices would be missing.
    private static Object plain(Object value) {
        if (value instanceof Map) {
            final copy = new LinkedHashMap<String, Object>()
            value.each { key, item -> copy.put(key as String, plain(item)) }
            return copy
        }
        return value instanceof List ? value.collect { item -> plain(item) } : value
    }
}
