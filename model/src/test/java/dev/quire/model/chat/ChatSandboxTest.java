package dev.quire.model.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

/** Templates are from strangers: whatever they do, it ends soon, in a text or a {@link ChatTemplateException}. */
class ChatSandboxTest {
    private static final Duration SOON = Duration.ofSeconds(20); // a second, on a machine with nothing else to do
    private static final long SMALL_STACK = 512 << 10;
    private static final int MUTANTS = 6_000;
    private static final String NAMESPACE = "{% set ns = namespace(x='a', l=[1], t=()) %}";
    private static final String FOREVER = "{% for a in range(99999) %}{% for b in range(99999) %}";
    private static final String ENDS = "{% endfor %}{% endfor %}";

    private static void refuses(String template, Map<String, ?> variables) {
        assertTimeoutPreemptively(
                SOON,
                () -> assertThatThrownBy(() -> JinjaTemplate.parse(template).render(variables, TemplateGolden.CLOCK))
                        .isInstanceOf(ChatTemplateException.class));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                FOREVER + ENDS,
                FOREVER + "x" + ENDS,
                NAMESPACE + FOREVER + "{% set ns.x = ns.x + ns.x %}" + ENDS,
                NAMESPACE + FOREVER + "{% set ns.x = ns.x ~ ns.x %}" + ENDS,
                NAMESPACE + FOREVER + "{% set ns.l = ns.l + ns.l %}" + ENDS,
                NAMESPACE + FOREVER + "{% set ns.t = (ns.t,) %}" + ENDS + "{{ ns.t }}",
                NAMESPACE + FOREVER + "{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}{% endfor %}",
                NAMESPACE + FOREVER + "{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l == [ns.l] }}{% endfor %}",
                NAMESPACE + FOREVER + "{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l < [ns.l] }}{% endfor %}",
                NAMESPACE + FOREVER + "{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}{% endfor %}",
                NAMESPACE + FOREVER + "{% set ns.l = (ns.l,) %}{% endfor %}{{ {ns.l: 1} }}{% endfor %}",
                NAMESPACE + FOREVER + "{% set ns.l = (ns.l,) %}{% endfor %}{{ {}[ns.l].x }}{% endfor %}",
                NAMESPACE + FOREVER + "{% set ns.l = (ns.l,) %}{% endfor %}{{ [ns.l] | unique | list }}{% endfor %}",
                NAMESPACE + FOREVER + "{% set ns.l = ns.l | map('string') %}{% endfor %}{{ ns.l | list }}{% endfor %}",
                NAMESPACE + FOREVER + "{% set ns.l = ns.l | select %}{% endfor %}{{ ns.l | list }}{% endfor %}",
                NAMESPACE + "{% set ns.me = ns %}{{ ns }}",
                NAMESPACE + "{% set ns.me = [ns] %}{{ ns.me | tojson }}",
                "{% set ns = namespace(s='a') %}{% for i in range(40) %}{% set ns.s = ns.s.replace('a', 'aaaa') %}{% endfor %}",
                "{{ 'a' * 100000000 }}",
                "{{ 'abc' * 9223372036854775807 }}",
                "{{ [0] * 2000000 }}",
                "{{ ([0] * 1000000) | list | join('abcdefghijk') }}",
                "{% for a in range(1000) %}{% set x = [0] * 1000000 %}{% endfor %}",
                "{{ ('x' * 8000000) * 2 }}",
                "{{ ['x' * 8000000, 'x' * 8000000] }}",
                "{{ ['x' * 8000000, 'x' * 8000000] | tojson }}",
                "{{ ['x' * 4000000] * 100 }}",
                "{{ (['x' * 4000000] * 100) | join }}",
                "{{ (['x' * 4000000] * 100) | tojson(indent=2) }}",
                "{{ ('x' * 8000000) ~ ('x' * 8000000) }}",
                "{% for i in range(1000) %}{{ 'x' * 100000 }}{% endfor %}",
                "{% set a %}{% for i in range(1000) %}{{ 'x' * 100000 }}{% endfor %}{% endset %}",
                "{% for i in range(1000) %}{% set a = ('x' * 1000000).upper() %}{% endfor %}",
                "{% for i in range(1000) %}{{ ('ab' * 1000000).count('ab' * 500000) }}{% endfor %}",
                "{{ ('a' * 4000000).split('a') }}",
                "{{ ('a' * 4000000).replace('', 'bbbbbb') }}",
                "{{ ('a' * 8000000) | list }}",
                "{{ ('a\\n' * 4000000) | indent(900) }}",
                "{{ 'x'.ljust(99999999999) }}",
                "{{ '%9999999999d' % 5 }}",
                "{{ '{:9999999999}'.format(5) }}",
                "{{ 2 ** 999999999 }}",
                "{{ 9223372036854775807 + 1 }}",
                "{{ -(-9223372036854775807 - 1) }}",
                "{{ (-9223372036854775807 - 1) // -1 }}",
                "{{ (-9223372036854775807 - 1) | abs }}",
                "{{ range(100001) }}",
                "{{ range(0, 9223372036854775807, 1) }}",
                "{{ range(-9223372036854775807, 9223372036854775807, 9223372036854775807)[9] .x }}",
                "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
                "{% macro m(x) %}{{ m(m(x) ~ x) }}{% endmacro %}{{ m('a') }}",
                "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
                "{% macro m() %}{% call m() %}{% endcall %}{{ caller }}{% endmacro %}{{ m() }}",
                "{% macro m(n) %}{{ m(n - 1) ~ m(n - 1) if n > 0 }}{% endmacro %}{{ m(100) }}",
                "{{ 'x' | batch(9223372036854775807, 'y') | list }}",
                "{{ [1] | batch(100000000, 0) | list }}",
                "{{ 1.5 | round(1000000000) }}",
                "{{ [1] | tojson(indent=100000000) }}",
                "{{ dict(**dict(**5)) }}",
                "{{ strftime_now('%Q') }}",
                "{{ strftime_now('%c' * 4000000) }}",
                "{{ ''.__class__.__mro__ }}",
                "{{ messages.append(1) }}",
                "{{ namespace.__init__.__globals__ }}",
            })
    void refusesABomb(String template) {
        refuses(template, Map.of());
    }

    private static String nested(String open, String inner, String close, int times) {
        return open.repeat(times) + inner + close.repeat(times);
    }

    @Test
    void refusesATemplateNestedTooDeep() {
        int deep = 100_000;
        List<String> templates = List.of(
                "{{ " + nested("(", "1", ")", deep) + " }}",
                "{{ " + nested("[", "1", "]", deep) + " }}",
                "{{ " + nested("{1:", "1", "}", deep) + " }}",
                "{{ " + nested("x[", "1", "]", deep) + " }}",
                "{{ " + nested("f(", "1", ")", deep) + " }}",
                "{{ " + nested("f(a=", "1", ")", deep) + " }}",
                "{{ " + "not ".repeat(deep) + "1 }}",
                "{{ " + "-".repeat(deep) + "1 }}",
                "{{ " + "1 if 1 else ".repeat(deep) + "1 }}",
                "{{ 1" + " + 1".repeat(deep) + " }}",
                "{{ 1" + " and 1".repeat(deep) + " }}",
                "{{ x" + ".a".repeat(deep) + " }}",
                "{{ 1" + " | string".repeat(deep) + " }}",
                "{{ 1" + " is defined is defined".repeat(deep) + " }}",
                "{{ 1" + " is eq [1".repeat(deep) + " }}",
                "{{ x" + "()".repeat(deep) + " }}",
                "{{ 0b" + "01".repeat(deep) + " }}",
                "{{ 1" + "_1".repeat(deep) + ".5 }}",
                nested("{% if 1 %}", "x", "{% endif %}", deep),
                nested("{% for x in y %}", "x", "{% endfor %}", deep),
                nested("{% filter upper %}", "x", "{% endfilter %}", deep),
                nested("{% macro m() %}", "x", "{% endmacro %}", deep),
                "{% if 0 %}" + "{% elif 0 %}".repeat(deep) + "{% endif %}",
                "{% set " + nested("(", "x", ")", deep) + " = 1 %}",
                "{% for " + nested("(", "x", ")", deep) + " in y %}{% endfor %}",
                "{% ".repeat(deep),
                "{{".repeat(deep),
                "{#".repeat(deep),
                "{% raw %}".repeat(deep),
                "{% raw" + " ".repeat(deep),
                "x".repeat(2 << 20));
        for (String template : templates) {
            refuses(template, Map.of());
        }
    }

    @Test
    void takesLongTemplatesInTimeThatGrowsWithTheirLength() {
        for (String piece : List.of("{{ 1 }}", "  {# x #}", "{% set x = 1 %}", "   {%- if 1 -%}   {% endif %}", " ")) {
            String template = piece.repeat(900_000 / piece.length());
            assertTimeoutPreemptively(SOON, () -> {
                try {
                    assertThat(JinjaTemplate.parse(template).render(Map.of(), TemplateGolden.CLOCK))
                            .doesNotContain("{");
                } catch (ChatTemplateException e) {
                    assertThat(e).hasMessageContaining("steps");
                }
            });
        }
    }

    @Test
    void refusesDataNestedTooDeep() {
        Object data = "x";
        for (int i = 0; i < 100_000; i++) {
            data = List.of(data);
        }
        refuses("{{ data }}", Map.of("data", data));
    }

    /** Nothing may rely on a large stack: what recurses deepest, on a thread that has little. */
    @Test
    void needsLittleStack() throws InterruptedException {
        List<Throwable> failures = new ArrayList<>();
        Runnable deepest = () -> {
            for (String template : List.of(
                    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
                    "{% macro m(n) %}{{ m(n - 1) ~ m(n - 1) if n > 0 }}{% endmacro %}{{ m(1000) }}",
                    "{% macro m() %}{% call m() %}{% endcall %}{{ caller }}{% endmacro %}{{ m() }}",
                    "{% macro m(a=m()) %}{% endmacro %}{{ m() }}",
                    "{% macro m() %}{% if 1 %}{% for x in [1] %}{% filter upper %}{{ [[m() | upper] | join] | join }}"
                            + "{% endfilter %}{% endfor %}{% endif %}{% endmacro %}{{ m() }}",
                    NAMESPACE + "{% for a in range(9999) %}{% set ns.l = ns.l | map('string') | select %}{% endfor %}"
                            + "{{ ns.l | list }}",
                    NAMESPACE + "{% for a in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l | tojson }}",
                    NAMESPACE + "{% for a in range(9999) %}{% set ns.l = [ns.l] %}{% endfor %}{{ ns.l < [ns.l] }}",
                    "{{ 1" + " + 1".repeat(5000) + " }}",
                    nested("{% if 1 %}", "{{ " + nested("[", "1", "]", 48) + " }}", "{% endif %}", 58),
                    nested("{% for x in y %}", "{{ " + nested("f(a=", "1", ")", 48) + " }}", "{% endfor %}", 58))) {
                TemplateGolden.rendered(template, Map.of());
            }
        };
        Thread thread = new Thread(null, deepest, "small stack", SMALL_STACK);
        thread.setUncaughtExceptionHandler((_, failure) -> failures.add(failure));
        thread.start();
        thread.join();
        assertThat(failures).isEmpty();
    }

    @Test
    void mutatedTemplatesRenderOrAreRefused() throws IOException {
        JsonNode golden = TemplateGolden.read("conversations.json");
        List<String> sources = new ArrayList<>();
        golden.get("templates").values().forEach(template -> sources.add(template.stringValue()));
        for (JsonNode one : TemplateGolden.read("snippets.json").get("cases").values()) {
            sources.add(one.get("template").stringValue());
        }
        Map<String, Object> variables =
                TemplateGolden.map(TemplateGolden.read("snippets.json").get("variables"));
        Random random = new Random(20253);
        int texts = 0;
        for (int i = 0; i < MUTANTS; i++) {
            String mutant = mutated(sources.get(random.nextInt(sources.size())), sources, random);
            texts += TemplateGolden.rendered(mutant, variables) == null ? 0 : 1;
        }
        assertThat(texts).isBetween(MUTANTS / 20, MUTANTS - MUTANTS / 20);
    }

    private static String mutated(String source, List<String> sources, Random random) {
        StringBuilder text = new StringBuilder(source);
        for (int i = random.nextInt(3); i >= 0; i--) {
            int at = random.nextInt(text.length() + 1);
            int end = Math.min(text.length(), at + random.nextInt(8));
            String other = sources.get(random.nextInt(sources.size()));
            int from = random.nextInt(other.length() + 1);
            String piece = other.substring(from, Math.min(other.length(), from + random.nextInt(12)));
            switch (random.nextInt(4)) {
                case 0 -> text.delete(at, end);
                case 1 -> text.insert(at, text.substring(at, end));
                case 2 -> text.insert(at, piece);
                default -> text.replace(at, end, piece);
            }
        }
        return text.toString();
    }
}
