package dev.quire.server.openai;

import dev.quire.server.http.Exchange;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Semaphore;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.JsonGenerator;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.TokenStreamFactory;
import tools.jackson.core.exc.StreamConstraintsException;
import tools.jackson.core.io.JsonStringEncoder;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/** JSON in, within limits, and JSON out. */
public final class Json {
    /** Deepest nesting of a request. */
    public static final int MAX_DEPTH = 64;
    /** Longest number, in characters. */
    public static final int MAX_NUMBER = 64;
    /** Values, names and brackets of one document: bounds the memory of a tree, not only of its text. */
    private static final long MAX_TOKENS = 1_200_000;
    /** A tree takes many times its text: of large ones only two are made at once. */
    private static final int LARGE_BYTES = 256 * 1024;

    private static final Semaphore LARGE_TREES = new Semaphore(2);

    private static final JsonMapper MAPPER = JsonMapper.builder(JsonFactory.builder()
                    .streamReadConstraints(StreamReadConstraints.builder()
                            .maxNestingDepth(MAX_DEPTH)
                            .maxNumberLength(MAX_NUMBER)
                            .maxTokenCount(MAX_TOKENS)
                            .maxNameLength(50_000)
                            .maxStringLength(Integer.MAX_VALUE)
                            .build())
                    .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
                    // A table of names shared by all requests would be one that a client can fill.
                    .disable(TokenStreamFactory.Feature.CANONICALIZE_PROPERTY_NAMES)
                    .build())
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build();

    private Json() {}

    /** The request's body as an object, or a 400. */
    static Fields object(Exchange exchange) {
        String type = exchange.header("Content-Type");
        String media = type == null ? "" : type.split(";", 2)[0].strip().toLowerCase(Locale.ROOT);
        if (!media.equals("application/json") && !media.endsWith("+json")) {
            throw ApiError.malformed(
                    null,
                    "Content-Type must be application/json, not "
                            + (type == null ? "absent" : ApiError.shown(type))
                            + ".");
        }
        JsonNode tree = parse(exchange.body(), "The request body");
        if (tree instanceof ObjectNode object) {
            return new Fields(object, "");
        }
        throw ApiError.malformed(null, "The request body must be a JSON object, not " + Fields.kind(tree) + ".");
    }

    /** A document, or a 400 that names the place of the fault. */
    static JsonNode parse(byte[] bytes, String what) {
        boolean large = bytes.length > LARGE_BYTES;
        if (large) {
            LARGE_TREES.acquireUninterruptibly();
        }
        try {
            JsonNode tree = MAPPER.readTree(bytes);
            if (tree == null || tree.isMissingNode()) {
                throw ApiError.malformed(null, what + " is empty; a JSON object is needed.");
            }
            return tree;
        } catch (StreamConstraintsException e) {
            throw ApiError.malformed(null, what + " goes over a limit of JSON: " + reason(e));
        } catch (JacksonException e) {
            throw ApiError.malformed(null, what + " is not valid JSON: " + reason(e));
        } finally {
            if (large) {
                LARGE_TREES.release();
            }
        }
    }

    private static String reason(JacksonException e) {
        String message = ApiError.shown(e.getOriginalMessage());
        var place = e.getLocation();
        return place == null || place.getByteOffset() < 0
                ? message
                : message + " (at byte " + place.getByteOffset() + ")";
    }

    /** A generator that owns the stream's end. */
    static JsonGenerator generator(OutputStream out) {
        return MAPPER.createGenerator(out);
    }

    /** A document, written by the action. */
    public static byte[] bytes(Consumer<JsonGenerator> action) {
        var out = new java.io.ByteArrayOutputStream(512);
        try (JsonGenerator json = generator(out)) {
            action.accept(json);
        }
        return out.toByteArray();
    }

    /** A string, or null written as such. */
    static void optional(JsonGenerator json, String name, @Nullable String value) {
        if (value == null) {
            json.writeNullProperty(name);
        } else {
            json.writeStringProperty(name, value);
        }
    }

    static void nulls(JsonGenerator json, String... names) {
        for (String name : names) {
            json.writeNullProperty(name);
        }
    }

    static void ids(JsonGenerator json, String name, int[] ids) {
        json.writeName(name);
        json.writeArray(ids, 0, ids.length);
    }

    /** JSON has no infinity: minus infinity and NaN become the number that clients know. */
    static double finite(float logprob) {
        return Float.isFinite(logprob) ? logprob : -9999.0;
    }

    /** The text with halves of surrogate pairs replaced by U+FFFD: JSON escapes can carry what UTF-8 cannot. */
    static String wellFormed(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (Character.isSurrogate(text.charAt(i))) {
                return repaired(text);
            }
        }
        return text;
    }

    private static String repaired(String text) {
        StringBuilder out = new StringBuilder(text.length());
        text.codePoints()
                .forEach(c ->
                        out.appendCodePoint(c >= Character.MIN_SURROGATE && c <= Character.MAX_SURROGATE ? 0xFFFD : c));
        return out.toString();
    }

    /** What stands for a text between the quotes of a JSON string, in UTF-8. */
    static byte[] escaped(String text) {
        for (int i = 0; i < text.length(); i++) {
            char c = text.charAt(i);
            if (c < ' ' || c > '~' || c == '"' || c == '\\') {
                return JsonStringEncoder.getInstance().quoteAsUTF8(wellFormed(text));
            }
        }
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }

    /** A tree as maps, lists, strings, numbers and booleans; members that are null are left out. */
    static Object plain(JsonNode node) {
        if (node.isObject()) {
            Map<String, Object> map = new LinkedHashMap<>();
            node.properties().forEach(e -> {
                if (!e.getValue().isNull()) {
                    map.put(wellFormed(e.getKey()), plain(e.getValue()));
                }
            });
            return map;
        }
        if (node.isArray()) {
            List<Object> list = new ArrayList<>();
            node.values().stream().filter(v -> !v.isNull()).forEach(v -> list.add(plain(v)));
            return list;
        }
        if (node.isBoolean()) {
            return node.booleanValue();
        }
        if (node.isIntegralNumber() && node.canConvertToLong()) {
            return node.longValue();
        }
        return node.isNumber() ? (Object) node.doubleValue() : wellFormed(node.asString());
    }
}
