package dev.quire.model.chat;

/**
 * A token of a template.
 *
 * @param text of a name, an operator or plain text; of a string literal its value
 * @param value of a number or string literal, else the text
 */
record JinjaToken(Kind kind, String text, Object value, int line) {
    enum Kind {
        TEXT,
        OUTPUT_BEGIN,
        OUTPUT_END,
        BLOCK_BEGIN,
        BLOCK_END,
        NAME,
        STRING,
        NUMBER,
        OPERATOR,
        END
    }

    boolean isName(String name) {
        return kind == Kind.NAME && text.equals(name);
    }

    boolean isOperator(String operator) {
        return kind == Kind.OPERATOR && text.equals(operator);
    }

    /** How messages name it. */
    String described() {
        return kind == Kind.END ? "end of template" : "'" + text + "'";
    }
}
