package dev.quire.model.chat;

import java.time.Clock;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** A template, parsed. Immutable; any thread. */
final class JinjaTemplate {
    private final List<JinjaStatement> body;
    private final IdentityHashMap<List<JinjaStatement>, Set<String>> hidden;

    private JinjaTemplate(List<JinjaStatement> body) {
        this.body = body;
        this.hidden = JinjaHiding.of(body);
    }

    /** @throws ChatTemplateException when the text is not a template, or uses what is not supported */
    static JinjaTemplate parse(String source) {
        return new JinjaTemplate(JinjaParser.parse(source));
    }

    /**
     * The template's text.
     *
     * @param variables as JSON has them: maps, lists, texts, numbers, booleans, nulls
     * @throws ChatTemplateException when the template refuses them or goes over a limit
     */
    String render(Map<String, ?> variables, Clock clock) {
        JinjaBudget budget = new JinjaBudget();
        JinjaScope globals = new JinjaScope(null);
        new JinjaGlobals(budget, clock).define(globals);
        variables.forEach((name, value) -> globals.set(name, PythonValues.from(value)));
        return new JinjaRendering(budget, hidden).render(body, globals);
    }
}
