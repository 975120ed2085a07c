package dev.quire.model.chat;

import dev.quire.model.chat.JinjaExpression.Arguments;
import dev.quire.model.chat.JinjaToken.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** Expressions of a template, by recursive descent; nesting is limited. */
final class JinjaExpressionParser {
    private static final int MAX_NESTING = 50;
    private static final Set<String> COMPARISONS = Set.of("==", "!=", "<", "<=", ">", ">=");

    private final JinjaTokens in;
    private int nesting;

    JinjaExpressionParser(JinjaTokens in) {
        this.in = in;
    }

    /** One expression, or several with commas between, which are a tuple. */
    JinjaExpression tuple() {
        return tuple(true);
    }

    /** @param conditional whether {@code a if b else c} may stand here without parentheses */
    JinjaExpression tuple(boolean conditional) {
        JinjaExpression first = conditional ? expression() : or();
        if (!in.current().isOperator(",")) {
            return first;
        }
        List<JinjaExpression> items = new ArrayList<>(List.of(first));
        while (in.skipOperator(",")) {
            JinjaToken token = in.current();
            if (token.kind() == Kind.BLOCK_END || token.kind() == Kind.OUTPUT_END || token.isOperator(")")) {
                break;
            }
            items.add(conditional ? expression() : or());
        }
        return new JinjaExpression.TupleOf(items);
    }

    JinjaExpression expression() {
        if (++nesting > MAX_NESTING) {
            throw in.wrong("expressions are nested more than " + MAX_NESTING + " deep");
        }
        JinjaExpression value = or();
        while (in.skipName("if")) {
            JinjaExpression test = or();
            value = new JinjaExpression.Conditional(test, value, in.skipName("else") ? expression() : null);
        }
        nesting--;
        return value;
    }

    private JinjaExpression or() {
        JinjaExpression left = and();
        while (in.skipName("or")) {
            left = new JinjaExpression.Logic(false, left, and());
        }
        return left;
    }

    private JinjaExpression and() {
        JinjaExpression left = not();
        while (in.skipName("and")) {
            left = new JinjaExpression.Logic(true, left, not());
        }
        return left;
    }

    private JinjaExpression not() {
        if (!in.skipName("not")) {
            return comparison();
        }
        enter();
        JinjaExpression negated = new JinjaExpression.Unary("not", not());
        nesting--;
        return negated;
    }

    private JinjaExpression comparison() {
        JinjaExpression first = sum();
        List<JinjaExpression> operands = new ArrayList<>(List.of(first));
        List<String> operators = new ArrayList<>();
        while (true) {
            JinjaToken token = in.current();
            if (token.kind() == Kind.OPERATOR && COMPARISONS.contains(token.text())) {
                operators.add(in.next().text());
            } else if (in.skipName("in")) {
                operators.add("in");
            } else if (token.isName("not") && in.ahead().isName("in")) {
                in.next();
                in.next();
                operators.add("not in");
            } else {
                return operators.isEmpty() ? first : new JinjaExpression.Comparison(operands, operators);
            }
            operands.add(sum());
        }
    }

    private JinjaExpression sum() {
        JinjaExpression left = concat();
        while (in.current().isOperator("+") || in.current().isOperator("-")) {
            left = new JinjaExpression.Arithmetic(in.next().text(), left, concat());
        }
        return left;
    }

    private JinjaExpression concat() {
        JinjaExpression first = product();
        if (!in.current().isOperator("~")) {
            return first;
        }
        List<JinjaExpression> parts = new ArrayList<>(List.of(first));
        while (in.skipOperator("~")) {
            parts.add(product());
        }
        return new JinjaExpression.Concat(parts);
    }

    private JinjaExpression product() {
        JinjaExpression left = power();
        while (in.current().kind() == Kind.OPERATOR
                && Set.of("*", "/", "//", "%").contains(in.current().text())) {
            left = new JinjaExpression.Arithmetic(in.next().text(), left, power());
        }
        return left;
    }

    private JinjaExpression power() {
        JinjaExpression left = unary(true);
        while (in.skipOperator("**")) {
            left = new JinjaExpression.Arithmetic("**", left, unary(true));
        }
        return left;
    }

    private JinjaExpression unary(boolean filtered) {
        JinjaExpression value;
        if (in.current().isOperator("-") || in.current().isOperator("+")) {
            enter();
            value = new JinjaExpression.Unary(in.next().text(), unary(false));
            nesting--;
        } else {
            value = primary();
        }
        value = postfix(value);
        return filtered ? filters(value, false) : value;
    }

    private JinjaExpression primary() {
        JinjaToken token = in.next();
        return switch (token.kind()) {
            case NAME ->
                switch (token.text()) {
                    case "true", "True" -> new JinjaExpression.Literal(true);
                    case "false", "False" -> new JinjaExpression.Literal(false);
                    case "none", "None" -> new JinjaExpression.Literal(PythonValues.NONE);
                    default -> new JinjaExpression.Name(token.text());
                };
            case NUMBER -> new JinjaExpression.Literal(token.value());
            case STRING -> {
                StringBuilder text = new StringBuilder(token.text());
                while (in.current().kind() == Kind.STRING) {
                    text.append(in.next().text());
                }
                yield new JinjaExpression.Literal(text.toString());
            }
            case OPERATOR ->
                switch (token.text()) {
                    case "(" -> parenthesized();
                    case "[" -> new JinjaExpression.ListOf(items());
                    case "{" -> dict();
                    default -> throw in.wrong("unexpected '" + token.text() + "'");
                };
            default -> throw in.wrong("unexpected " + token.described());
        };
    }

    private JinjaExpression parenthesized() {
        if (in.skipOperator(")")) {
            return new JinjaExpression.TupleOf(List.of());
        }
        JinjaExpression inner = tuple();
        in.expectOperator(")");
        return inner;
    }

    private List<JinjaExpression> items() {
        List<JinjaExpression> items = new ArrayList<>();
        while (!in.skipOperator("]")) {
            if (!items.isEmpty()) {
                in.expectOperator(",");
                if (in.skipOperator("]")) {
                    break;
                }
            }
            items.add(expression());
        }
        return items;
    }

    private JinjaExpression dict() {
        List<JinjaExpression> keys = new ArrayList<>();
        List<JinjaExpression> values = new ArrayList<>();
        while (!in.skipOperator("}")) {
            if (!keys.isEmpty()) {
                in.expectOperator(",");
                if (in.skipOperator("}")) {
                    break;
                }
            }
            keys.add(expression());
            in.expectOperator(":");
            values.add(expression());
        }
        return new JinjaExpression.DictOf(keys, values);
    }

    private JinjaExpression postfix(JinjaExpression of) {
        JinjaExpression value = of;
        while (true) {
            if (in.skipOperator(".")) {
                JinjaToken token = in.next();
                if (token.kind() == Kind.NAME) {
                    value = new JinjaExpression.Attribute(value, token.text());
                } else if (token.value() instanceof Long index) {
                    value = new JinjaExpression.Item(value, new JinjaExpression.Literal(index));
                } else {
                    throw in.wrong("expected name or number");
                }
            } else if (in.skipOperator("[")) {
                value = subscript(value);
            } else if (in.current().isOperator("(")) {
                value = new JinjaExpression.Call(value, arguments());
            } else {
                return value;
            }
        }
    }

    private JinjaExpression subscript(JinjaExpression of) {
        JinjaExpression start = in.current().isOperator(":") ? null : expression();
        if (start != null && in.current().isOperator(",")) {
            List<JinjaExpression> items = new ArrayList<>(List.of(start));
            while (in.skipOperator(",")) {
                items.add(expression());
            }
            start = new JinjaExpression.TupleOf(items);
        }
        if (start != null && in.skipOperator("]")) {
            return new JinjaExpression.Item(of, start);
        }
        in.expectOperator(":");
        JinjaExpression stop = sliceEnd() ? null : expression();
        JinjaExpression step = in.skipOperator(":") && !sliceEnd() ? expression() : null;
        in.expectOperator("]");
        return new JinjaExpression.Slice(of, start, stop, step);
    }

    private boolean sliceEnd() {
        return in.current().isOperator("]") || in.current().isOperator(":");
    }

    /** @param inline the first filter has no bar before it */
    JinjaExpression filters(JinjaExpression input, boolean inline) {
        JinjaExpression value = input;
        boolean bar = !inline;
        while (true) {
            if (!bar || in.skipOperator("|")) {
                bar = true;
                value = filter(value);
            } else if (in.skipName("is")) {
                value = test(value);
            } else if (in.current().isOperator("(")) {
                value = new JinjaExpression.Call(value, arguments());
            } else {
                return value;
            }
        }
    }

    private JinjaExpression filter(JinjaExpression input) {
        String name = dottedName();
        if (!JinjaFilters.isKnown(name)) {
            throw in.wrong("there is no filter named '" + name + "'");
        }
        Arguments arguments = in.current().isOperator("(") ? arguments() : Arguments.NONE;
        return new JinjaExpression.Filter(input, name, arguments);
    }

    private JinjaExpression test(JinjaExpression input) {
        boolean negated = in.skipName("not");
        String name = dottedName();
        if (!JinjaTests.isKnown(name)) {
            throw in.wrong("there is no test named '" + name + "'");
        }
        JinjaExpression test = new JinjaExpression.Test(input, name, testArguments());
        return negated ? new JinjaExpression.Unary("not", test) : test;
    }

    /** In parentheses, or one without. */
    private Arguments testArguments() {
        if (in.current().isOperator("(")) {
            return arguments();
        }
        if (!beginsTestArgument()) {
            return Arguments.NONE;
        }
        if (in.current().isName("is")) {
            throw in.wrong("tests cannot be chained with 'is'");
        }
        enter();
        JinjaExpression argument = postfix(primary());
        nesting--;
        return new Arguments(List.of(argument), List.of(), List.of(), null, null);
    }

    private boolean beginsTestArgument() {
        JinjaToken token = in.current();
        return switch (token.kind()) {
            case NAME -> !Set.of("else", "or", "and").contains(token.text());
            case STRING, NUMBER -> true;
            case OPERATOR -> token.text().equals("[") || token.text().equals("{");
            default -> false;
        };
    }

    private String dottedName() {
        StringBuilder name = new StringBuilder(in.expectName());
        while (in.skipOperator(".")) {
            name.append('.').append(in.expectName());
        }
        return name.toString();
    }

    private Arguments arguments() {
        in.expectOperator("(");
        List<JinjaExpression> positional = new ArrayList<>();
        List<String> names = new ArrayList<>();
        List<JinjaExpression> named = new ArrayList<>();
        @Nullable JinjaExpression star = null;
        @Nullable JinjaExpression doubleStar = null;
        boolean first = true;
        while (!in.skipOperator(")")) {
            if (!first) {
                in.expectOperator(",");
                if (in.skipOperator(")")) {
                    break;
                }
            }
            first = false;
            if (in.skipOperator("*")) {
                star = expression();
            } else if (in.skipOperator("**")) {
                doubleStar = expression();
            } else if (in.current().kind() == Kind.NAME && in.ahead().isOperator("=")) {
                names.add(in.next().text());
                in.next();
                named.add(expression());
            } else if (names.isEmpty()) {
                positional.add(expression());
            } else {
                throw in.wrong("positional argument follows keyword argument");
            }
        }
        return new Arguments(positional, names, named, star, doubleStar);
    }

    private void enter() {
        if (++nesting > MAX_NESTING) {
            throw in.wrong("expressions are nested more than " + MAX_NESTING + " deep");
        }
    }
}
