package dev.quire.server.acceptance;

import java.util.List;
import java.util.stream.Stream;

/** What clients send that was not thought of. */
final class HostileText {
    /** Names of fields, known and unknown. */
    static final List<String> NAMES = words("""
            model prompt messages tokens max_tokens max_completion_tokens min_tokens n temperature top_p
            top_k min_p seed stop stop_token_ids logit_bias echo logprobs top_logprobs presence_penalty
            frequency_penalty repetition_penalty stream stream_options ignore_eos priority cache_salt
            truncate_prompt_tokens truncation_side add_special_tokens add_generation_prompt
            continue_final_message chat_template chat_template_kwargs documents tools tool_choice
            response_format reasoning_effort return_token_ids bad_words suffix allowed_token_ids
            prompt_logprobs structured_outputs use_beam_search skip_special_tokens
            include_stop_str_in_output return_tokens_as_token_ids stream_interval user unknown
            """);

    /** Values of fields, as JSON and as what is nearly JSON. */
    static final List<String> VALUES =
            lines("""
            null
            true
            false
            0
            1
            -1
            2
            -0
            0.5
            -0.0
            1e400
            -1e400
            1e-400
            NaN
            Infinity
            -Infinity
            2147483648
            -2147483649
            9223372036854775807
            9223372036854775808
            -9223372036854775808
            18446744073709551616
            1e18
            1e308
            3.0
            01
            +1
            .5
            1.
            0x10
            ""
            " "
            "\\u0000"
            "\\ud800"
            "\\udc00\\ud800"
            "\ufeff"
            "\\u202e"
            "<|im_start|>"
            "<|im_end|>"
            "-1"
            "NaN"
            "auto"
            "none"
            "left"
            "text"
            "http://127.0.0.1:9/"
            "../../etc/passwd"
            "{{ 1/0 }}"
            "a\\nb"
            []
            {}
            [[]]
            [null]
            [[],[]]
            [{}]
            {"": null}
            [""]
            [-1]
            [49151]
            [49152]
            [2147483647]
            [1e99]
            [0.5]
            ["a", 1]
            [1, "a"]
            [[1], "a"]
            [true]
            [[[1]]]
            {"type": "json_object"}
            {"type": "text"}
            {"1": 1e999}
            {"49152": 1}
            {"-1": 1}
            {"1.5": 1}
            {"x": 1}
            {"1": "y"}
            {"1": null}
            {"1": 1, "01": 2}
            {"include_usage": 1}
            {"continuous_usage_stats": true}
            [{"role": "user"}]
            [{"role": "nobody", "content": "x"}]
            [{"content": "x"}]
            [{"role": "user", "content": null}]
            [{"role": "user", "content": []}]
            [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]
            [{"role": "user", "content": [{"type": "text"}]}]
            [{"role": 7, "content": 7}]
            [{"role": "tool", "content": "x", "tool_call_id": {}}]
            [{"role": "assistant", "content": null, "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}]
            [{"role": "assistant", "content": null, "tool_calls": [{"function": {"arguments": "[]"}}]}]
            [{"role": "assistant", "tool_calls": 5}]
            [{"role": "user", "content": "\\ud83d"}]
            [{"role": "user", "content": "x", "name": [[{}]]}]
            ["user"]
            [{"type": "function", "function": {"name": "f"}}]
            \u0000
            undefined
            'x'
            [1,]
            {,}
            "open
            [1
            {"a":1
            /* x */ 1
            1 2
            """, "9".repeat(64), "9".repeat(65), "1" + "0".repeat(300), "\"" + "x".repeat(5000) + "\"");

    /** Header lines. */
    static final List<String> HEADERS = lines("""
            Content-Type: text/plain
            Content-Type:
            Content-Type: application/json; charset=latin1
            Content-Type: application/json; charset=utf-16
            Content-Type: multipart/form-data; boundary=x
            Content-Encoding: gzip
            Content-Encoding: identity
            Content-Encoding: br, gzip
            Expect: 100-continue
            Expect: nothing
            X-Request-Id: \u00e9
            X-Vllm-Priority: 1e9
            X-Vllm-Priority: -9223372036854775808
            Accept: nothing/at-all
            Upgrade: h2c
            Connection: upgrade
            Connection: close, keep-alive
            Te: trailers
            Trailer: Host
            Authorization: Bearer
            Cookie: =
            Range: bytes=0-1
            If-None-Match: *
            X-Odd: \u0001
            X-Odd\u0000: 1
             X-Folded: 1
            Transfer-Encoding: chunked
            Transfer-Encoding: gzip
            Content-Length: 3
            Content-Length: -1
            Content-Length: 99999999999999999999
            Host: second
            Forwarded: for="[::1]"
            X-Http-Method-Override: DELETE
            """, "X-Request-Id: " + "i".repeat(300), "X-Long: " + "l".repeat(17_000));

    /** Methods. */
    static final List<String> METHODS = lines("""
            GET
            HEAD
            PUT
            DELETE
            PATCH
            OPTIONS
            TRACE
            CONNECT
            PRI
            post
            POST\u0000
            P OST
            """, "M".repeat(9000), "");

    /** Request targets. */
    static final List<String> PATHS = lines("""
            /
            //
            *
            /v1
            /v1/
            /v1/completions/
            //v1/completions
            /v1/../v1/completions
            /v1/%63ompletions
            /v1/completions%00
            /v1/completions%
            /v1/completions%zz
            /v1/completions%ff
            /v1/completions?x=%ff&y
            /v1/completions#x
            /v1/models/%2e%2e%2fx
            http://other/v1/completions
            ftp://other/v1/completions
            /v1/completions HTTP/1.1
            /\u00e9
            /metrics
            /health
            /ping
            /v1/models/
            /nowhere
            """, "/v1/models/" + "m".repeat(500), "/" + "p".repeat(9000), "");

    private HostileText() {}

    private static List<String> words(String text) {
        return List.of(text.strip().split("\\s+", -1));
    }

    private static List<String> lines(String text, String... more) {
        return Stream.concat(text.lines(), Stream.of(more)).toList();
    }
}
