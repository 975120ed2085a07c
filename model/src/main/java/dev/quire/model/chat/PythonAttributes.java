package dev.quire.model.chat;

import dev.quire.model.chat.PythonValues.Undefined;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** {@code value.name} and {@code value[index]}, as a template sees them. */
final class PythonAttributes {
    /** What Python has and we do not: an error, where a name that Python lacks is undefined. */
    private static final Set<String> TEXT = Set.of(
            "casefold",
            "encode",
            "expandtabs",
            "format_map",
            "isascii",
            "isidentifier",
            "isprintable",
            "istitle",
            "maketrans",
            "rindex",
            "swapcase",
            "translate");

    private static final Set<String> NUMBER = Set.of(
            "as_integer_ratio",
            "bit_count",
            "bit_length",
            "conjugate",
            "denominator",
            "from_bytes",
            "fromhex",
            "hex",
            "imag",
            "is_integer",
            "numerator",
            "real",
            "to_bytes");

    private PythonAttributes() {}

    static Object attribute(Object of, String name, JinjaBudget budget) {
        PythonValues.requireDefined(of);
        Object own = own(of, name, budget);
        if (own != null) {
            return own;
        }
        Object item = of instanceof Map<?, ?> map ? PythonValues.find(map, name) : null;
        return item == null ? missing(of, name) : item;
    }

    static Object item(Object of, Object index, JinjaBudget budget) {
        PythonValues.requireDefined(of);
        if (of instanceof String s) {
            budget.work(s.length() / 16);
        }
        if (of instanceof PythonValues.Markup || index instanceof PythonValues.Markup) {
            throw new ChatTemplateException("escaped text is not supported here");
        }
        Object item = PythonOperators.item(of, index);
        if (item == null && index instanceof String name) {
            item = own(of, name, budget);
        }
        return item == null ? missing(of, index) : item;
    }

    private static Undefined missing(Object of, Object name) {
        String problem = name instanceof String ? " has no attribute '" + name + "'" : " has no such element";
        return new Undefined("'" + PythonValues.objectName(of) + "'" + problem);
    }

    /** What Python calls an attribute, or null when the value has none of that name. */
    private static @Nullable Object own(Object of, String name, JinjaBudget budget) {
        Object own = switch (of) {
            case PythonValues.Namespace namespace -> namespace.fields().get(name);
            case JinjaLoop loop -> loop.attribute(name);
            default -> PythonMethods.method(of, name, budget);
        };
        if (own != null) {
            return own;
        }
        if (name.startsWith("__") || PythonMethods.isChanging(of, name)) {
            return new Undefined(
                    "access to attribute '" + name + "' of '" + PythonValues.typeName(of) + "' object is unsafe.");
        }
        if (isUnsupported(of, name)) {
            throw new ChatTemplateException(
                    "attribute '" + name + "' of '" + PythonValues.typeName(of) + "' object is not supported");
        }
        return null;
    }

    private static boolean isUnsupported(Object of, String name) {
        return switch (of) {
            case String _ -> TEXT.contains(name);
            case Long _, Double _, Boolean _ -> NUMBER.contains(name);
            case Map<?, ?> _ -> name.equals("fromkeys");
            case List<?> _, PythonValues.Namespace _, JinjaLoop _ -> false;
            default -> of != PythonValues.NONE;
        };
    }
}
