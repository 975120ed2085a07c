package dev.quire.server;

import dev.quire.model.LoadedModel;
import dev.quire.model.ModelRunner;

/** What a person reads when the server is ready: what runs, what fits, and a line to paste. */
final class Greeting {
    private static final long MIB = 1 << 20;

    private Greeting() {}

    static String text(Deployment running, String host, int port, long startNanos) {
        LoadedModel model = running.model();
        ModelRunner.Limits limits = model.runner().limits();
        long tokens = (long) limits.kvBlocks() * limits.blockTokens();
        String url = "http://" + (host.contains(":") ? "[" + host + "]" : host) + ":" + port;
        return running.served().name() + " (" + mebibytes(model.weightBytes()) + " of weights) on " + model.deviceLine()
                + "\nKV cache: " + grouped(tokens) + " tokens in " + mebibytes(model.kvBytes()) + " (" + model.kvType()
                + ")" + onHost(limits) + ", sequences of up to " + grouped(limits.maxModelLen())
                + " tokens\nready after "
                + tenths(startNanos) + " s at " + url + "\n\n  curl " + url + """
                /v1/chat/completions -H 'Content-Type: application/json' \\
                    -d '{"messages": [{"role": "user", "content": "Why is the sky blue?"}]}'

                """;
    }

    private static String onHost(ModelRunner.Limits limits) {
        long tokens = (long) limits.hostBlocks() * limits.blockTokens();
        return tokens == 0 ? "" : ", " + grouped(tokens) + " more on the host";
    }

    private static String mebibytes(long bytes) {
        return (bytes + MIB / 2) / MIB + " MiB";
    }

    /** Seconds with one decimal. {@code String.format} loads locales and big numbers, beside the first request. */
    private static String tenths(long nanos) {
        long tenths = (nanos + 50_000_000) / 100_000_000;
        return tenths / 10 + "." + tenths % 10;
    }

    /** A number with a comma before every three digits. */
    private static String grouped(long number) {
        StringBuilder digits = new StringBuilder(Long.toString(number));
        for (int at = digits.length() - 3; at > 0; at -= 3) {
            digits.insert(at, ',');
        }
        return digits.toString();
    }
}
