package dev.quire.model.chat;

import dev.quire.model.chat.JinjaStatement.Signature;
import dev.quire.model.chat.JinjaStatement.Target;
import dev.quire.model.chat.JinjaToken.Kind;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** Statements of a template. Size and nesting are limited. */
final class JinjaParser {
    private static final int MAX_CHARS = 1 << 20;
    private static final int MAX_NESTING = 60;

    private final JinjaTokens in;
    private final JinjaExpressionParser expressions;
    private int nesting;
    private int loops;

    private JinjaParser(JinjaTokens in) {
        this.in = in;
        this.expressions = new JinjaExpressionParser(in);
    }

    /** @throws ChatTemplateException when the text is not a template, or uses what is not supported */
    static List<JinjaStatement> parse(String source) {
        if (source.length() > MAX_CHARS) {
            throw new ChatTemplateException(
                    "the chat template has " + source.length() + " characters, allowed are " + MAX_CHARS);
        }
        JinjaParser parser = new JinjaParser(new JinjaTokens(JinjaLexer.tokens(source)));
        return parser.body(Set.of());
    }

    /** Statements up to a block that begins with one of these names, whose name is then the current token. */
    private List<JinjaStatement> body(Set<String> ends) {
        if (++nesting > MAX_NESTING) {
            throw in.wrong("blocks are nested more than " + MAX_NESTING + " deep");
        }
        List<JinjaStatement> body = new ArrayList<>();
        while (true) {
            JinjaToken token = in.current();
            if (token.kind() == Kind.END) {
                if (ends.isEmpty()) {
                    nesting--;
                    return body;
                }
                throw in.wrong("unexpected end of template, expected one of " + ends);
            }
            in.next();
            switch (token.kind()) {
                case TEXT -> body.add(new JinjaStatement.Text(token.text()));
                case OUTPUT_BEGIN -> {
                    body.add(new JinjaStatement.Output(expressions.tuple()));
                    in.expect(Kind.OUTPUT_END);
                }
                default -> {
                    if (in.current().kind() == Kind.NAME
                            && ends.contains(in.current().text())) {
                        nesting--;
                        return body;
                    }
                    JinjaStatement statement = statement(in.expectName());
                    in.expect(Kind.BLOCK_END);
                    body.add(statement);
                }
            }
        }
    }

    private List<JinjaStatement> bodyOf(String end) {
        in.expect(Kind.BLOCK_END);
        List<JinjaStatement> body = body(Set.of(end));
        in.next();
        return body;
    }

    private JinjaStatement statement(String tag) {
        return switch (tag) {
            case "if" -> ifBlock();
            case "for" -> forBlock();
            case "set" -> set();
            case "macro" -> macro();
            case "call" -> callBlock();
            case "filter" -> {
                JinjaExpression filtered = expressions.filters(new JinjaExpression.BlockText(), true);
                yield new JinjaStatement.FilterBlock(filtered, bodyOf("endfilter"));
            }
            case "with" -> with();
            case "generation" -> new JinjaStatement.Block(outsideLoops("endgeneration"));
            case "break", "continue" -> {
                if (loops == 0) {
                    throw in.wrong("'" + tag + "' outside a loop");
                }
                yield tag.equals("break") ? new JinjaStatement.Break() : new JinjaStatement.Continue();
            }
            default -> throw in.wrong("the tag '" + tag + "' is not known or not allowed here");
        };
    }

    private JinjaStatement ifBlock() {
        JinjaExpression test = expressions.tuple(false);
        in.expect(Kind.BLOCK_END);
        List<JinjaStatement> then = body(Set.of("elif", "else", "endif"));
        String end = in.expectName();
        return new JinjaStatement.If(
                test,
                then,
                switch (end) {
                    case "elif" -> List.of(elif());
                    case "else" -> bodyOf("endif");
                    default -> List.of();
                });
    }

    private JinjaStatement elif() {
        if (++nesting > MAX_NESTING) {
            throw in.wrong("more than " + MAX_NESTING + " branches");
        }
        JinjaStatement branch = ifBlock();
        nesting--;
        return branch;
    }

    private JinjaStatement forBlock() {
        int start = in.position();
        Target target = targets(false);
        if (in.mentions(start, "loop")) {
            throw in.wrong("'loop' cannot be what a loop assigns to");
        }
        if (!in.skipName("in")) {
            throw in.wrong("expected 'in', found " + in.current().described());
        }
        JinjaExpression items = expressions.tuple(false);
        JinjaExpression filter = in.skipName("if") ? expressions.expression() : null;
        if (in.current().isName("recursive")) {
            throw in.wrong("recursive loops are not supported");
        }
        in.expect(Kind.BLOCK_END);
        loops++;
        List<JinjaStatement> body = body(Set.of("else", "endfor"));
        loops--;
        List<JinjaStatement> otherwise = in.expectName().equals("else") ? bodyOf("endfor") : List.of();
        return new JinjaStatement.For(target, items, filter, body, otherwise);
    }

    private JinjaStatement set() {
        Target target = targets(true);
        if (in.skipOperator("=")) {
            return new JinjaStatement.SetValue(target, expressions.tuple());
        }
        JinjaExpression filtered = expressions.filters(new JinjaExpression.BlockText(), false);
        return new JinjaStatement.SetBlock(target, filtered, bodyOf("endset"));
    }

    private JinjaStatement macro() {
        String name = in.expectName();
        int start = in.position();
        Signature signature = signature();
        List<JinjaStatement> body = outsideLoops("endmacro");
        return new JinjaStatement.Macro(name, withSpecials(signature, start), body);
    }

    private JinjaStatement callBlock() {
        int start = in.position();
        Signature signature =
                in.current().isOperator("(") ? signature() : new Signature(List.of(), List.of(), Set.of());
        if (!(expressions.expression() instanceof JinjaExpression.Call call)) {
            throw in.wrong("expected a call");
        }
        List<JinjaStatement> body = outsideLoops("endcall");
        return new JinjaStatement.CallBlock(call, withSpecials(signature, start), body);
    }

    /** A body that is called, so that it cannot break out of a loop around it. */
    private List<JinjaStatement> outsideLoops(String end) {
        int around = loops;
        loops = 0;
        List<JinjaStatement> body = bodyOf(end);
        loops = around;
        return body;
    }

    private Signature withSpecials(Signature signature, int start) {
        Set<String> specials = Stream.of("caller", "varargs", "kwargs")
                .filter(name -> !signature.parameters().contains(name) && in.mentions(start, name))
                .collect(Collectors.toUnmodifiableSet());
        return new Signature(signature.parameters(), signature.defaults(), specials);
    }

    private JinjaStatement with() {
        List<Target> targets = new ArrayList<>();
        List<JinjaExpression> values = new ArrayList<>();
        while (in.current().kind() != Kind.BLOCK_END) {
            if (!targets.isEmpty()) {
                in.expectOperator(",");
            }
            targets.add(target(false));
            in.expectOperator("=");
            values.add(expressions.expression());
        }
        return new JinjaStatement.With(targets, values, bodyOf("endwith"));
    }

    private Signature signature() {
        in.expectOperator("(");
        List<String> parameters = new ArrayList<>();
        List<JinjaExpression> defaults = new ArrayList<>();
        while (!in.current().isOperator(")")) {
            if (!parameters.isEmpty()) {
                in.expectOperator(",");
            }
            if (in.current().isName("caller")) {
                throw in.wrong("'caller' cannot be a parameter");
            }
            parameters.add(in.expectName());
            if (in.skipOperator("=")) {
                defaults.add(expressions.expression());
            } else if (!defaults.isEmpty()) {
                throw in.wrong("non-default argument follows default argument");
            }
        }
        in.expectOperator(")");
        return new Signature(parameters, defaults, Set.of());
    }

    private Target targets(boolean fields) {
        Target first = target(fields);
        if (!in.current().isOperator(",")) {
            return first;
        }
        List<Target> several = new ArrayList<>(List.of(first));
        while (in.skipOperator(",")) {
            if (in.current().isName("in")) {
                break;
            }
            several.add(target(fields));
        }
        return new Target.Several(several);
    }

    private Target target(boolean fields) {
        if (in.skipOperator("(")) {
            if (++nesting > MAX_NESTING) {
                throw in.wrong("nested too deep");
            }
            Target inner = targets(fields);
            in.expectOperator(")");
            nesting--;
            return inner;
        }
        String name = in.expectName();
        if (fields && in.skipOperator(".")) {
            return new Target.Field(name, in.expectName());
        }
        return new Target.Variable(name);
    }
}
