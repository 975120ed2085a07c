package dev.quire.model.chat;

import dev.quire.model.chat.JinjaStatement.Signature;
import dev.quire.model.chat.PythonValues.Tuple;
import dev.quire.model.chat.PythonValues.Undefined;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * A macro of a rendering, called for its text.
 *
 * @param scope where it stands in the template
 */
record JinjaMacro(
        String name, Signature signature, List<JinjaStatement> body, JinjaScope scope, JinjaRendering rendering)
        implements PythonValues.Function {
    @Override
    public Object call(JinjaArguments arguments) {
        JinjaScope inner = rendering.inner(body, scope);
        Set<String> used = bind(arguments, inner);
        Set<String> specials = signature.specials();
        Map<Object, Object> others = new LinkedHashMap<>();
        arguments.named().forEach((key, value) -> {
            if (!used.contains(key)) {
                others.put(key, value);
            }
        });
        if (specials.contains("caller")) {
            Object caller = others.remove("caller");
            inner.set("caller", caller == null ? new Undefined("No caller defined") : caller);
        }
        List<Object> positional = arguments.positional();
        int count = signature.parameters().size();
        if (specials.contains("kwargs")) {
            inner.set("kwargs", others);
        } else if (!others.isEmpty()) {
            throw new ChatTemplateException("macro '" + name + "' takes no keyword argument '"
                    + others.keySet().iterator().next() + "'");
        }
        if (specials.contains("varargs")) {
            inner.set("varargs", new Tuple(positional.subList(Math.min(count, positional.size()), positional.size())));
        } else if (positional.size() > count) {
            throw new ChatTemplateException("macro '" + name + "' takes not more than " + count + " argument(s)");
        }
        return rendering.text(body, inner);
    }

    /** @return the names of the named arguments that are parameters */
    private Set<String> bind(JinjaArguments arguments, JinjaScope inner) {
        Set<String> used = new HashSet<>();
        List<String> parameters = signature.parameters();
        int required = parameters.size() - signature.defaults().size();
        for (int i = 0; i < parameters.size(); i++) {
            String parameter = parameters.get(i);
            Object value = arguments.find(i, parameter);
            if (i >= arguments.positional().size() && value != null) {
                used.add(parameter);
            }
            if (value == null) {
                value = i < required
                        ? new Undefined("parameter '" + parameter + "' was not provided")
                        : rendering.value(signature.defaults().get(i - required), inner);
            }
            inner.set(parameter, value);
        }
        return used;
    }
}
