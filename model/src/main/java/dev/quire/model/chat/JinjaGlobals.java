package dev.quire.model.chat;

import dev.quire.model.chat.PythonValues.Function;
import dev.quire.model.chat.PythonValues.Namespace;
import dev.quire.model.chat.PythonValues.View;
import java.time.Clock;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The functions that every template can call. One rendering. */
final class JinjaGlobals {
    private static final int MAX_RANGE = 100_000;

    private final JinjaBudget budget;
    private final Clock clock;

    JinjaGlobals(JinjaBudget budget, Clock clock) {
        this.budget = budget;
        this.clock = clock;
    }

    void define(JinjaScope scope) {
        scope.set("raise_exception", (Function) this::raise);
        scope.set("strftime_now", (Function) this::now);
        scope.set("range", (Function) this::range);
        scope.set("dict", (Function) arguments -> dict(arguments));
        scope.set("namespace", (Function) this::namespace);
        scope.set("joiner", (Function) this::joiner);
        for (String name : List.of("cycler", "lipsum", "self")) {
            scope.set(name, unsupported(name));
        }
    }

    private static Function unsupported(String name) {
        return _ -> {
            throw new ChatTemplateException("'" + name + "' is not supported");
        };
    }

    private Object raise(JinjaArguments arguments) {
        arguments.check(List.of("message"));
        throw new ChatTemplateException(PythonText.str(arguments.require(0, "message"), budget));
    }

    private Object now(JinjaArguments arguments) {
        arguments.check(List.of("format"));
        String format = arguments.text(0, "format");
        budget.text(16L * format.length());
        return PythonTime.format(ZonedDateTime.now(clock), format);
    }

    private View range(JinjaArguments arguments) {
        if (!arguments.named().isEmpty()) {
            throw new ChatTemplateException("range() takes no keyword arguments");
        }
        arguments.check(List.of("start", "stop", "step"));
        int count = arguments.positional().size();
        long start = count == 1 ? 0 : arguments.whole(0, "start");
        long stop = arguments.whole(count == 1 ? 0 : 1, "stop");
        long step = count == 3 ? arguments.whole(2, "step") : 1;
        if (step == 0) {
            throw new ChatTemplateException("range() arg 3 must not be zero");
        }
        long size = (long) Math.ceil(Math.max(0, ((double) stop - start) / step));
        if (size > MAX_RANGE) {
            throw new ChatTemplateException(
                    "Range too big. The sandbox blocks ranges larger than MAX_RANGE (" + MAX_RANGE + ").");
        }
        budget.items(size);
        List<Object> numbers = new ArrayList<>((int) size);
        for (long i = 0; i < size; i++) {
            numbers.add(start + i * step);
        }
        String printed = "range(" + start + ", " + stop + (step == 1 ? ")" : ", " + step + ")");
        return new View(View.RANGE, printed, numbers);
    }

    private Map<Object, Object> dict(JinjaArguments arguments) {
        if (arguments.positional().size() > 1) {
            throw new ChatTemplateException("dict expected at most 1 argument");
        }
        Map<Object, Object> dict = new LinkedHashMap<>();
        for (Object given : arguments.positional()) {
            if (given instanceof Map<?, ?>) {
                dict.putAll(PythonValues.dict(given));
            } else {
                addPairs(dict, given);
            }
        }
        dict.putAll(arguments.named());
        budget.items(dict.size());
        return dict;
    }

    private void addPairs(Map<Object, Object> dict, Object given) {
        for (Iterator<Object> pairs = PythonValues.iterator(given); pairs.hasNext(); ) {
            budget.step();
            List<Object> pair = PythonValues.items(pairs.next(), budget);
            if (pair.size() != 2) {
                throw new ChatTemplateException("a dict is made of pairs, not of " + pair.size() + " values");
            }
            PythonValues.put(dict, pair.get(0), pair.get(1));
        }
    }

    private Namespace namespace(JinjaArguments arguments) {
        Map<String, Object> fields = new LinkedHashMap<>();
        dict(arguments).forEach((key, value) -> fields.put(PythonText.str(key, budget), value));
        return new Namespace(fields);
    }

    private Function joiner(JinjaArguments arguments) {
        arguments.check(List.of("sep"));
        Object separator = arguments.get(0, "sep", ", ");
        boolean[] used = {false};
        return _ -> {
            Object value = used[0] ? separator : "";
            used[0] = true;
            return value;
        };
    }
}
