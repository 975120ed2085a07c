package dev.quire.model.chat;

import dev.quire.model.chat.JinjaToken.Kind;
import java.util.List;

/** The tokens of a template and where we are in them. One owner. */
final class JinjaTokens {
    private final List<JinjaToken> tokens;
    private int at;

    JinjaTokens(List<JinjaToken> tokens) {
        this.tokens = tokens;
    }

    JinjaToken current() {
        return tokens.get(at);
    }

    JinjaToken ahead() {
        return tokens.get(Math.min(at + 1, tokens.size() - 1));
    }

    JinjaToken next() {
        JinjaToken token = tokens.get(at);
        at = Math.min(at + 1, tokens.size() - 1);
        return token;
    }

    int position() {
        return at;
    }

    /** Whether one of the tokens from a position to here is this name. */
    boolean mentions(int from, String name) {
        return tokens.subList(from, at).stream().anyMatch(token -> token.isName(name));
    }

    boolean skipName(String name) {
        boolean there = current().isName(name);
        if (there) {
            next();
        }
        return there;
    }

    boolean skipOperator(String operator) {
        boolean there = current().isOperator(operator);
        if (there) {
            next();
        }
        return there;
    }

    void expectOperator(String operator) {
        if (!skipOperator(operator)) {
            throw wrong("expected '" + operator + "', found " + current().described());
        }
    }

    String expectName() {
        return expect(Kind.NAME).text();
    }

    JinjaToken expect(Kind kind) {
        if (current().kind() != kind) {
            throw wrong("expected " + described(kind) + ", found " + current().described());
        }
        return next();
    }

    ChatTemplateException wrong(String problem) {
        return new ChatTemplateException("chat template, line " + current().line() + ": " + problem);
    }

    private static String described(Kind kind) {
        return switch (kind) {
            case BLOCK_END -> "'%}'";
            case OUTPUT_END -> "'}}'";
            case NAME -> "a name";
            default -> kind.toString();
        };
    }
}
