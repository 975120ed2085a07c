package dev.quire.model.chat;

import dev.quire.model.chat.JinjaExpression.Arguments;
import dev.quire.model.chat.JinjaExpression.Slice;
import dev.quire.model.chat.PythonValues.Tuple;
import dev.quire.model.chat.PythonValues.Undefined;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Computes expressions. One owner, one rendering. */
final class JinjaEvaluator {
    /** The variable that holds a block's text while its filters run; no name in a template has a space. */
    static final String BLOCK_TEXT = "block text";

    private final JinjaBudget budget;

    JinjaEvaluator(JinjaBudget budget) {
        this.budget = budget;
    }

    Object value(JinjaExpression expression, JinjaScope scope) {
        budget.step();
        budget.enter();
        Object value = switch (expression) {
            case JinjaExpression.Literal literal -> literal.value();
            case JinjaExpression.Name name -> named(name.name(), scope);
            case JinjaExpression.BlockText _ -> named(BLOCK_TEXT, scope);
            case JinjaExpression.ListOf list -> values(list.items(), scope);
            case JinjaExpression.TupleOf tuple -> new Tuple(values(tuple.items(), scope));
            case JinjaExpression.DictOf dict -> dict(dict, scope);
            case JinjaExpression.Attribute attribute ->
                PythonAttributes.attribute(value(attribute.of(), scope), attribute.name(), budget);
            case JinjaExpression.Item item ->
                PythonAttributes.item(value(item.of(), scope), value(item.index(), scope), budget);
            case Slice slice -> slice(slice, scope);
            case JinjaExpression.Call call -> call(call, JinjaArguments.NONE, scope);
            default -> combined(expression, scope);
        };
        budget.leave();
        return value;
    }

    private Object combined(JinjaExpression expression, JinjaScope scope) {
        return switch (expression) {
            case JinjaExpression.Unary unary ->
                PythonOperators.unary(unary.operator(), value(unary.operand(), scope), budget);
            case JinjaExpression.Arithmetic sum ->
                PythonOperators.arithmetic(sum.operator(), value(sum.left(), scope), value(sum.right(), scope), budget);
            case JinjaExpression.Logic logic -> {
                Object left = value(logic.left(), scope);
                yield PythonValues.isTrue(left) == logic.and() ? value(logic.right(), scope) : left;
            }
            case JinjaExpression.Comparison comparison -> comparison(comparison, scope);
            case JinjaExpression.Concat concat -> concat(concat, scope);
            case JinjaExpression.Conditional conditional -> conditional(conditional, scope);
            case JinjaExpression.Filter filter ->
                JinjaFilters.apply(
                        filter.name(), value(filter.input(), scope), arguments(filter.arguments(), scope), budget);
            case JinjaExpression.Test test ->
                JinjaTests.holds(test.name(), value(test.input(), scope), arguments(test.arguments(), scope), budget);
            default -> throw new IllegalStateException(expression.getClass().getSimpleName());
        };
    }

    private static Object named(String name, JinjaScope scope) {
        Object value = scope.find(name);
        return value == null ? new Undefined("'" + name + "' is undefined") : value;
    }

    private List<Object> values(List<JinjaExpression> expressions, JinjaScope scope) {
        budget.items(expressions.size());
        List<Object> values = new ArrayList<>(expressions.size());
        for (JinjaExpression expression : expressions) {
            values.add(value(expression, scope));
        }
        return values;
    }

    private Object dict(JinjaExpression.DictOf dict, JinjaScope scope) {
        Map<Object, Object> map = new LinkedHashMap<>();
        budget.items(dict.keys().size());
        for (int i = 0; i < dict.keys().size(); i++) {
            Object key = value(dict.keys().get(i), scope);
            PythonValues.put(map, key, value(dict.values().get(i), scope));
        }
        return map;
    }

    private Object slice(Slice slice, JinjaScope scope) {
        Object of = value(slice.of(), scope);
        Long start = bound(slice.start(), scope);
        Long stop = bound(slice.stop(), scope);
        return PythonOperators.slice(of, start, stop, bound(slice.step(), scope), budget);
    }

    private @Nullable Long bound(@Nullable JinjaExpression expression, JinjaScope scope) {
        Object value = expression == null ? PythonValues.NONE : value(expression, scope);
        Long bound = PythonValues.asLong(value);
        if (bound == null && value != PythonValues.NONE) {
            PythonValues.requireDefined(value);
            throw new ChatTemplateException(
                    "slice indices must be integers or none, not a " + PythonValues.typeName(value));
        }
        return bound;
    }

    private Object comparison(JinjaExpression.Comparison comparison, JinjaScope scope) {
        Object left = value(comparison.operands().getFirst(), scope);
        for (int i = 0; i < comparison.operators().size(); i++) {
            Object right = value(comparison.operands().get(i + 1), scope);
            if (!PythonOperators.compares(comparison.operators().get(i), left, right, budget)) {
                return false;
            }
            left = right;
        }
        return true;
    }

    private Object concat(JinjaExpression.Concat concat, JinjaScope scope) {
        StringBuilder text = new StringBuilder();
        for (JinjaExpression part : concat.parts()) {
            text.append(PythonText.str(value(part, scope), budget));
            budget.growing(text);
        }
        budget.text(text.length());
        return text.toString();
    }

    private Object conditional(JinjaExpression.Conditional conditional, JinjaScope scope) {
        if (PythonValues.isTrue(value(conditional.test(), scope))) {
            return value(conditional.then(), scope);
        }
        return conditional.otherwise() == null
                ? new Undefined("the inline if-expression evaluated to false and no else section was defined.")
                : value(conditional.otherwise(), scope);
    }

    /** @param more named arguments that are not written in the template */
    Object call(JinjaExpression.Call call, JinjaArguments more, JinjaScope scope) {
        budget.enter();
        Object function = value(call.function(), scope);
        JinjaArguments arguments = arguments(call.arguments(), scope);
        PythonValues.requireDefined(function);
        if (!(function instanceof PythonValues.Function callable)) {
            throw new ChatTemplateException("'" + PythonValues.typeName(function) + "' object is not callable");
        }
        for (Map.Entry<String, Object> named : more.named().entrySet()) {
            name(arguments.named(), named.getKey(), named.getValue());
        }
        Object result = callable.call(arguments);
        budget.leave();
        return result;
    }

    private JinjaArguments arguments(Arguments written, JinjaScope scope) {
        List<Object> positional = values(written.positional(), scope);
        if (written.star() != null) {
            for (Iterator<Object> rest = PythonValues.iterator(value(written.star(), scope)); rest.hasNext(); ) {
                budget.step();
                positional.add(rest.next());
            }
        }
        Map<String, Object> named = new LinkedHashMap<>();
        for (int i = 0; i < written.names().size(); i++) {
            name(named, written.names().get(i), value(written.named().get(i), scope));
        }
        if (written.doubleStar() != null) {
            Map<Object, Object> more = PythonValues.dict(value(written.doubleStar(), scope));
            budget.items(more.size());
            more.forEach((key, value) -> {
                if (!(key instanceof String name)) {
                    throw new ChatTemplateException("keywords must be strings");
                }
                name(named, name, value);
            });
        }
        return new JinjaArguments(positional, named);
    }

    private static void name(Map<String, Object> named, String name, Object value) {
        if (named.put(name, value) != null) {
            throw new ChatTemplateException("multiple values for the argument '" + name + "'");
        }
    }
}
