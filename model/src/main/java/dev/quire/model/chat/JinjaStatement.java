package dev.quire.model.chat;

import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** A statement of a template. */
sealed interface JinjaStatement {
    record Text(String text) implements JinjaStatement {}

    record Output(JinjaExpression value) implements JinjaStatement {}

    record If(JinjaExpression test, List<JinjaStatement> then, List<JinjaStatement> otherwise)
            implements JinjaStatement {}

    record For(
            Target target,
            JinjaExpression items,
            @Nullable JinjaExpression filter,
            List<JinjaStatement> body,
            List<JinjaStatement> otherwise)
            implements JinjaStatement {}

    record SetValue(Target target, JinjaExpression value) implements JinjaStatement {}

    /** The text of a block, filtered, becomes a variable. */
    record SetBlock(Target target, JinjaExpression filtered, List<JinjaStatement> body) implements JinjaStatement {}

    record Macro(String name, Signature signature, List<JinjaStatement> body) implements JinjaStatement {}

    /** A call whose callee may call the block back. */
    record CallBlock(JinjaExpression.Call call, Signature signature, List<JinjaStatement> body)
            implements JinjaStatement {}

    record FilterBlock(JinjaExpression filtered, List<JinjaStatement> body) implements JinjaStatement {}

    record With(List<Target> targets, List<JinjaExpression> values, List<JinjaStatement> body)
            implements JinjaStatement {}

    /** A block that changes nothing, such as {@code generation}. */
    record Block(List<JinjaStatement> body) implements JinjaStatement {}

    record Break() implements JinjaStatement {}

    record Continue() implements JinjaStatement {}

    /**
     * Parameters; the defaults are those of the last ones.
     *
     * @param specials which of {@code caller}, {@code varargs} and {@code kwargs} the body names, and so accepts
     */
    record Signature(List<String> parameters, List<JinjaExpression> defaults, Set<String> specials) {}

    /** What is assigned to. */
    sealed interface Target {
        record Variable(String name) implements Target {}

        record Field(String namespace, String name) implements Target {}

        record Several(List<Target> targets) implements Target {}
    }
}
