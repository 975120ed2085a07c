package dev.quire.model.chat;

import dev.quire.model.chat.JinjaStatement.Target;
import dev.quire.model.chat.PythonValues.Generator;
import dev.quire.model.chat.PythonValues.Namespace;
import java.util.IdentityHashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Runs the statements of a template once. One owner. */
final class JinjaRendering {
    /** What comes after a statement. */
    private enum Flow {
        ON,
        BREAK,
        CONTINUE
    }

    private final JinjaBudget budget;
    private final IdentityHashMap<List<JinjaStatement>, Set<String>> hidden;
    private final JinjaEvaluator evaluator;
    private StringBuilder out = new StringBuilder();

    /** @param hidden of the template's bodies, as {@link JinjaHiding} finds them */
    JinjaRendering(JinjaBudget budget, IdentityHashMap<List<JinjaStatement>, Set<String>> hidden) {
        this.budget = budget;
        this.hidden = hidden;
        this.evaluator = new JinjaEvaluator(budget);
    }

    String render(List<JinjaStatement> template, JinjaScope variables) {
        run(template, inner(template, variables));
        return out.toString();
    }

    /** A scope for a body. */
    JinjaScope inner(List<JinjaStatement> body, JinjaScope outer) {
        return new JinjaScope(outer, hidden.getOrDefault(body, Set.of()));
    }

    private Flow run(List<JinjaStatement> body, JinjaScope scope) {
        budget.enter();
        Flow flow = Flow.ON;
        for (int i = 0; i < body.size() && flow == Flow.ON; i++) {
            budget.step();
            flow = run(body.get(i), scope);
        }
        budget.leave();
        return flow;
    }

    private Flow run(JinjaStatement statement, JinjaScope scope) {
        switch (statement) {
            case JinjaStatement.Text text -> write(text.text());
            case JinjaStatement.Output output -> write(PythonText.str(evaluator.value(output.value(), scope), budget));
            case JinjaStatement.SetValue set -> assign(set.target(), evaluator.value(set.value(), scope), scope);
            case JinjaStatement.Macro macro ->
                scope.set(macro.name(), new JinjaMacro(macro.name(), macro.signature(), macro.body(), scope, this));
            case JinjaStatement.CallBlock block -> callBlock(block, scope);
            case JinjaStatement.If branch -> {
                boolean holds = PythonValues.isTrue(evaluator.value(branch.test(), scope));
                return run(holds ? branch.then() : branch.otherwise(), scope);
            }
            case JinjaStatement.For loop -> {
                return loop(loop, scope);
            }
            case JinjaStatement.SetBlock set -> {
                return filtered(set.filtered(), set.body(), set.target(), scope);
            }
            case JinjaStatement.FilterBlock block -> {
                return filtered(block.filtered(), block.body(), null, scope);
            }
            case JinjaStatement.With with -> {
                return with(with, scope);
            }
            case JinjaStatement.Block block -> {
                return run(block.body(), inner(block.body(), scope));
            }
            case JinjaStatement.Break _ -> {
                return Flow.BREAK;
            }
            case JinjaStatement.Continue _ -> {
                return Flow.CONTINUE;
            }
        }
        return Flow.ON;
    }

    private void write(String text) {
        budget.text(text.length());
        out.append(text);
        budget.growing(out);
    }

    private Flow loop(JinjaStatement.For loop, JinjaScope scope) {
        Object items = evaluator.value(loop.items(), scope);
        Iterator<Object> iterator = PythonValues.iterator(items);
        JinjaExpression filter = loop.filter();
        boolean sized = filter == null && !(items instanceof Generator);
        JinjaLoop state = new JinjaLoop(
                filter == null ? iterator : matching(iterator, loop.target(), filter, scope),
                sized ? PythonValues.length(items) : -1,
                budget);
        boolean completed = false;
        Flow flow = Flow.ON;
        while (flow != Flow.BREAK && state.advance()) {
            JinjaScope inner = inner(loop.body(), scope);
            inner.set("loop", state);
            assign(loop.target(), state.item(), inner);
            flow = run(loop.body(), inner);
            completed |= flow == Flow.ON;
        }
        // As jinja2 has it: only a body that ran to its end keeps the else branch from running.
        return completed ? Flow.ON : run(loop.otherwise(), inner(loop.otherwise(), scope));
    }

    private Iterator<Object> matching(Iterator<Object> items, Target target, JinjaExpression filter, JinjaScope scope) {
        return new LazyItems(items, budget) {
            @Override
            @Nullable
            Object map(Object item) {
                JinjaScope inner = new JinjaScope(scope);
                assign(target, item, inner);
                return PythonValues.isTrue(evaluator.value(filter, inner)) ? item : null;
            }
        };
    }

    private Flow with(JinjaStatement.With with, JinjaScope scope) {
        JinjaScope inner = inner(with.body(), scope);
        for (int i = 0; i < with.targets().size(); i++) {
            assign(with.targets().get(i), evaluator.value(with.values().get(i), scope), inner);
        }
        return run(with.body(), inner);
    }

    /** @param target null for the output */
    private Flow filtered(
            JinjaExpression filters, List<JinjaStatement> body, @Nullable Target target, JinjaScope scope) {
        StringBuilder around = out;
        out = new StringBuilder();
        JinjaScope inner = inner(body, scope);
        Flow flow = run(body, inner);
        String text = out.toString();
        out = around;
        if (flow != Flow.ON) {
            return flow;
        }
        inner.set(JinjaEvaluator.BLOCK_TEXT, text);
        Object value = evaluator.value(filters, inner);
        if (target == null) {
            if (!JinjaTests.holds("string", value, JinjaArguments.NONE, budget)) {
                throw new ChatTemplateException("a filter block made a " + PythonValues.typeName(value));
            }
            write(PythonText.str(value, budget));
        } else {
            assign(target, value, scope);
        }
        return Flow.ON;
    }

    private void callBlock(JinjaStatement.CallBlock block, JinjaScope scope) {
        JinjaMacro caller = new JinjaMacro("caller", block.signature(), block.body(), scope, this);
        Object value = evaluator.call(block.call(), new JinjaArguments(List.of(), Map.of("caller", caller)), scope);
        write(PythonText.str(value, budget));
    }

    /** The text of a macro's body. */
    Object text(List<JinjaStatement> body, JinjaScope scope) {
        StringBuilder around = out;
        out = new StringBuilder();
        run(body, scope);
        String text = out.toString();
        out = around;
        return text;
    }

    Object value(JinjaExpression expression, JinjaScope scope) {
        return evaluator.value(expression, scope);
    }

    private void assign(Target target, Object value, JinjaScope scope) {
        switch (target) {
            case Target.Variable variable -> scope.set(variable.name(), value);
            case Target.Field field -> {
                if (!(scope.find(field.namespace()) instanceof Namespace namespace)) {
                    throw new ChatTemplateException("cannot assign attribute on non-namespace object");
                }
                namespace.fields().put(field.name(), value);
            }
            case Target.Several several -> {
                Iterator<Object> values = PythonValues.iterator(value);
                for (Target one : several.targets()) {
                    if (!values.hasNext()) {
                        throw new ChatTemplateException("not enough values to unpack");
                    }
                    assign(one, values.next(), scope);
                }
                if (values.hasNext()) {
                    throw new ChatTemplateException("too many values to unpack");
                }
            }
        }
    }
}
