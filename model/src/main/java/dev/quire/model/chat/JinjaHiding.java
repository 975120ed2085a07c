package dev.quire.model.chat;

import dev.quire.model.chat.JinjaExpression.Arguments;
import dev.quire.model.chat.JinjaStatement.Target;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Finds the variables that a block hides from the blocks in it until it sets them. To jinja2 a block that sets a
 * variable without having read it has one of its own, also for a loop or macro in it that runs before.
 */
final class JinjaHiding {
    private final @Nullable JinjaHiding outer;
    private final Set<String> known;
    private final Set<String> hidden = new HashSet<>();
    private final List<Inner> inner = new ArrayList<>();

    private record Inner(List<JinjaStatement> body, Set<String> known) {}

    private JinjaHiding(@Nullable JinjaHiding outer, Set<String> known) {
        this.outer = outer;
        this.known = known;
    }

    /** The hidden names of each body that hides any. */
    static IdentityHashMap<List<JinjaStatement>, Set<String>> of(List<JinjaStatement> template) {
        IdentityHashMap<List<JinjaStatement>, Set<String>> hidden = new IdentityHashMap<>();
        new JinjaHiding(null, new HashSet<>()).find(template, hidden);
        return hidden;
    }

    private void find(List<JinjaStatement> body, IdentityHashMap<List<JinjaStatement>, Set<String>> found) {
        body.forEach(statement -> visit(statement, false));
        if (!hidden.isEmpty()) {
            found.put(body, Set.copyOf(hidden));
        }
        for (Inner one : inner) {
            new JinjaHiding(this, one.known).find(one.body, found);
        }
    }

    /** @param branch whether the statement may not run though its block does */
    private void visit(JinjaStatement statement, boolean branch) {
        switch (statement) {
            case JinjaStatement.Output output -> read(output.value());
            case JinjaStatement.If test -> {
                read(test.test());
                test.then().forEach(one -> visit(one, true));
                test.otherwise().forEach(one -> visit(one, true));
            }
            case JinjaStatement.For loop -> {
                read(loop.items());
                Set<String> names = names(loop.target());
                names.add("loop");
                inner.add(new Inner(loop.body(), names));
                inner.add(new Inner(loop.otherwise(), new HashSet<>()));
            }
            case JinjaStatement.SetValue set -> {
                read(set.value());
                set(set.target(), branch);
            }
            case JinjaStatement.SetBlock set -> {
                set(set.target(), branch);
                inner.add(new Inner(set.body(), new HashSet<>()));
            }
            case JinjaStatement.Macro macro -> {
                set(new Target.Variable(macro.name()), branch);
                inner.add(new Inner(macro.body(), names(macro.signature())));
            }
            case JinjaStatement.CallBlock block -> {
                read(block.call());
                inner.add(new Inner(block.body(), names(block.signature())));
            }
            case JinjaStatement.FilterBlock block -> {
                read(block.filtered());
                inner.add(new Inner(block.body(), new HashSet<>()));
            }
            case JinjaStatement.With with -> {
                with.values().forEach(this::read);
                Set<String> names = new HashSet<>();
                with.targets().forEach(target -> names.addAll(names(target)));
                inner.add(new Inner(with.body(), names));
            }
            case JinjaStatement.Block block -> inner.add(new Inner(block.body(), new HashSet<>()));
            case JinjaStatement.Text _, JinjaStatement.Break _, JinjaStatement.Continue _ -> {
                // They have no variables.
            }
        }
    }

    private static Set<String> names(JinjaStatement.Signature signature) {
        Set<String> names = new HashSet<>(signature.parameters());
        names.addAll(signature.specials());
        return names;
    }

    private static Set<String> names(Target target) {
        Set<String> names = new HashSet<>();
        switch (target) {
            case Target.Variable variable -> names.add(variable.name());
            case Target.Field field -> names.add(field.namespace());
            case Target.Several several -> several.targets().forEach(one -> names.addAll(names(one)));
        }
        return names;
    }

    private void set(Target target, boolean branch) {
        switch (target) {
            case Target.Variable variable -> {
                if (!branch && !isKnown(variable.name())) {
                    hidden.add(variable.name());
                }
                known.add(variable.name());
            }
            case Target.Field field -> known.add(field.namespace());
            case Target.Several several -> several.targets().forEach(one -> set(one, branch));
        }
    }

    private boolean isKnown(String name) {
        for (JinjaHiding block = this; block != null; block = block.outer) {
            if (block.known.contains(name)) {
                return true;
            }
        }
        return false;
    }

    private void read(JinjaExpression expression) {
        Deque<JinjaExpression> open = new ArrayDeque<>(List.of(expression)); // a long sum is a deep tree
        while (!open.isEmpty()) {
            switch (open.pop()) {
                case JinjaExpression.Name name -> known.add(name.name());
                case JinjaExpression.Literal _, JinjaExpression.BlockText _ -> {
                    // They have no variables.
                }
                case JinjaExpression.ListOf list -> open.addAll(list.items());
                case JinjaExpression.TupleOf tuple -> open.addAll(tuple.items());
                case JinjaExpression.DictOf dict -> {
                    open.addAll(dict.keys());
                    open.addAll(dict.values());
                }
                case JinjaExpression.Unary unary -> open.push(unary.operand());
                case JinjaExpression.Arithmetic sum -> add(open, sum.left(), sum.right());
                case JinjaExpression.Logic logic -> add(open, logic.left(), logic.right());
                case JinjaExpression.Comparison comparison -> open.addAll(comparison.operands());
                case JinjaExpression.Concat concat -> open.addAll(concat.parts());
                case JinjaExpression.Conditional either -> add(open, either.test(), either.then(), either.otherwise());
                case JinjaExpression.Attribute attribute -> open.push(attribute.of());
                case JinjaExpression.Item item -> add(open, item.of(), item.index());
                case JinjaExpression.Slice slice -> add(open, slice.of(), slice.start(), slice.stop(), slice.step());
                case JinjaExpression.Call call -> add(open, call.function(), call.arguments());
                case JinjaExpression.Filter filter -> add(open, filter.input(), filter.arguments());
                case JinjaExpression.Test test -> add(open, test.input(), test.arguments());
            }
        }
    }

    private static void add(Deque<JinjaExpression> open, @Nullable JinjaExpression... parts) {
        for (JinjaExpression part : parts) {
            if (part != null) {
                open.push(part);
            }
        }
    }

    private static void add(Deque<JinjaExpression> open, JinjaExpression first, Arguments arguments) {
        add(open, first, arguments.star(), arguments.doubleStar());
        open.addAll(arguments.positional());
        open.addAll(arguments.named());
    }
}
