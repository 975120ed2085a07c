package dev.quire.server;

import dev.quire.model.LoadedModel;
import dev.quire.model.ModelRunner;
import java.util.Locale;

/** What a person reads when the server is ready: what runs, what fits, and a line to paste. */
final class Greeting {
    private static final double MIB = 1 << 20;

    private Greeting() {}

    static String text(Deployment running, String host, int port, long startNanos) {
        LoadedModel model = running.model();
        ModelRunner.Limits limits = model.runner().limits();
        long tokens = (long) limits.kvBlocks() * limits.blockTokens();
        String url = "http://" + (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
        return String.format(
                Locale.ROOT,
                """
                %s (%.0f MiB of weights) on %s
                KV cache: %,d tokens in %.0f MiB (%s), sequences of up to %,d tokens
                ready after %.1f s at %s

                  curl %s/v1/chat/completions -H 'Content-Type: application/json' \\
                    -d '{"messages": [{"role": "user", "content": "Why is the sky blue?"}]}'

                """,
                running.served().name(),
                model.weightBytes() / MIB,
                model.deviceLine(),
                tokens,
                model.kvBytes() / MIB,
                model.kvType(),
                limits.maxModelLen(),
                startNanos / 1e9,
                url,
                url);
    }
}
