package dev.quire.model.chat;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** An expression of a template. */
sealed interface JinjaExpression {
    /** A number, text, truth value or none. */
    record Literal(Object value) implements JinjaExpression {}

    record Name(String name) implements JinjaExpression {}

    record ListOf(List<JinjaExpression> items) implements JinjaExpression {}

    record TupleOf(List<JinjaExpression> items) implements JinjaExpression {}

    record DictOf(List<JinjaExpression> keys, List<JinjaExpression> values) implements JinjaExpression {}

    /** {@code not}, {@code -} or {@code +}. */
    record Unary(String operator, JinjaExpression operand) implements JinjaExpression {}

    record Arithmetic(String operator, JinjaExpression left, JinjaExpression right) implements JinjaExpression {}

    /** {@code and} or {@code or}; the value is that of one side. */
    record Logic(boolean and, JinjaExpression left, JinjaExpression right) implements JinjaExpression {}

    /** A chain: each operator stands between two neighbours. */
    record Comparison(List<JinjaExpression> operands, List<String> operators) implements JinjaExpression {}

    record Concat(List<JinjaExpression> parts) implements JinjaExpression {}

    record Conditional(
            JinjaExpression test,
            JinjaExpression then,
            @Nullable JinjaExpression otherwise) implements JinjaExpression {}

    record Attribute(JinjaExpression of, String name) implements JinjaExpression {}

    record Item(JinjaExpression of, JinjaExpression index) implements JinjaExpression {}

    record Slice(
            JinjaExpression of,
            @Nullable JinjaExpression start,
            @Nullable JinjaExpression stop,
            @Nullable JinjaExpression step)
            implements JinjaExpression {}

    record Call(JinjaExpression function, Arguments arguments) implements JinjaExpression {}

    record Filter(JinjaExpression input, String name, Arguments arguments) implements JinjaExpression {}

    record Test(JinjaExpression input, String name, Arguments arguments) implements JinjaExpression {}

    /** What the filters of a block are applied to: the block's text. */
    record BlockText() implements JinjaExpression {}

    /** Arguments as written. */
    record Arguments(
            List<JinjaExpression> positional,
            List<String> names,
            List<JinjaExpression> named,
            @Nullable JinjaExpression star,
            @Nullable JinjaExpression doubleStar) {
        static final Arguments NONE = new Arguments(List.of(), List.of(), List.of(), null, null);
    }
}
