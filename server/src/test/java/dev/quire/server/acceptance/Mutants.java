package dev.quire.server.acceptance;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;

/**
 * Requests that were valid until something happened to them: a seed, a request. All of them are framed so that an answer
 * is due, and none asks for more than a few tokens.
 */
final class Mutants {
    private static final int BIG = 1 << 20;
    private static final String COMPLETIONS = "/v1/completions";
    private static final String CHAT = "/v1/chat/completions";

    /** A valid request. */
    private record Seedling(String path, List<Member> members) {}

    /** A member of an object, as text: what is mutated need not be JSON. */
    private record Member(String name, String value) {}

    /**
     * What is sent.
     *
     * @param head a HEAD request, whose answer has no body
     */
    record Mutant(int seed, byte[] bytes, boolean head) {
        String shown() {
            String text = new String(bytes, StandardCharsets.ISO_8859_1);
            return "seed " + seed + ": " + text.substring(0, Math.min(text.length(), 700));
        }
    }

    private static final List<Seedling> SEEDLINGS = List.of(
            seedling(COMPLETIONS, "prompt", "\"Once upon\"", "max_tokens", "2"),
            seedling(COMPLETIONS, "prompt", "[504, 1980]", "max_tokens", "1", "echo", "true", "logprobs", "2"),
            seedling(COMPLETIONS, "prompt", "[\"a\", \"b\"]", "max_tokens", "1", "stream", "true"),
            seedling(COMPLETIONS, "prompt", "[[1, 2], [3]]", "max_tokens", "0", "echo", "true", "logprobs", "0"),
            seedling(
                    COMPLETIONS,
                    "prompt",
                    "\"x\"",
                    "max_tokens",
                    "2",
                    "stop",
                    "[\"the\"]",
                    "stop_token_ids",
                    "[5]",
                    "logit_bias",
                    "{\"7\": 3.5}",
                    "seed",
                    "1",
                    "n",
                    "2",
                    "top_p",
                    "0.9"),
            seedling(
                    CHAT,
                    "messages",
                    "[{\"role\": \"user\", \"content\": \"Hi\"}]",
                    "max_tokens",
                    "1",
                    "temperature",
                    "0"),
            seedling(
                    CHAT,
                    "messages",
                    "[{\"role\": \"system\", \"content\": \"Be.\"}, {\"role\": \"user\", \"content\": [{\"type\": \"text\", \"text\": \"Hi\"}]}]",
                    "max_completion_tokens",
                    "2",
                    "stream",
                    "true",
                    "stream_options",
                    "{\"include_usage\": true}",
                    "logprobs",
                    "true",
                    "top_logprobs",
                    "2"),
            seedling(
                    CHAT,
                    "messages",
                    "[{\"role\": \"assistant\", \"content\": \"Well\"}]",
                    "continue_final_message",
                    "true",
                    "max_tokens",
                    "1"),
            seedling("/tokenize", "prompt", "\"some text\"", "return_token_strs", "true"),
            seedling("/tokenize", "messages", "[{\"role\": \"user\", \"content\": \"Hi\"}]"),
            seedling("/detokenize", "tokens", "[504, 1980, 2]"));

    private Mutants() {}

    private static Seedling seedling(String path, String... namesAndValues) {
        List<Member> members = new ArrayList<>();
        for (int i = 0; i < namesAndValues.length; i += 2) {
            members.add(new Member(namesAndValues[i], namesAndValues[i + 1]));
        }
        return new Seedling(path, members);
    }

    /** The mutant of a seed. */
    static Mutant of(int seed) {
        SplittableRandom random = new SplittableRandom(seed);
        Seedling from = pick(random, SEEDLINGS);
        int kind = random.nextInt(100);
        byte[] body = utf8(json(from.members()));
        String line = "POST " + from.path() + " HTTP/1.1";
        String header = "";
        boolean head = false;
        if (seed % 2000 == 1999) {
            body = utf8(json(with(from.members(), random, "\"" + "big ".repeat(BIG / 4) + "\"")));
        } else if (kind < 65) {
            body = utf8(json(mutated(from.members(), random)));
        } else if (kind < 85) {
            body = damaged(body, random);
        } else if (kind < 92) {
            header = pick(random, HostileText.HEADERS) + "\r\n";
        } else if (kind < 95) {
            String method = pick(random, HostileText.METHODS);
            head = method.equals("HEAD");
            line = method + " " + from.path() + " HTTP/1.1";
        } else if (kind < 98) {
            line = (random.nextBoolean() ? "GET " : "POST ") + pick(random, HostileText.PATHS) + " HTTP/1.1";
        } else {
            line = "POST " + from.path() + " "
                    + pick(random, List.of("HTTP/1.0", "HTTP/1.2", "HTTP/0.9", "HTTP/2.0", "http/1.1", "X"));
        }
        String type = header.startsWith("Content-Type") ? "" : "Content-Type: application/json\r\n";
        String length =
                header.startsWith("Transfer-Encoding: chunked") ? "" : "Content-Length: " + body.length + "\r\n";
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.writeBytes(
                (line + "\r\nHost: x\r\n" + type + header + length + "\r\n").getBytes(StandardCharsets.ISO_8859_1));
        out.writeBytes(body);
        return new Mutant(seed, out.toByteArray(), head);
    }

    private static List<Member> mutated(List<Member> members, SplittableRandom random) {
        List<Member> out = members;
        int times = 1 + random.nextInt(3);
        for (int i = 0; i < times; i++) {
            String value = switch (random.nextInt(12)) {
                case 0 -> nested(random);
                case 1 -> pick(random, out.isEmpty() ? members : out).value();
                case 2 -> "[" + "1,".repeat(random.nextInt(300)) + "1]";
                default -> pick(random, HostileText.VALUES);
            };
            out = with(out, random, value);
        }
        return out;
    }

    /** Sets, adds, doubles or removes a member. */
    private static List<Member> with(List<Member> members, SplittableRandom random, String value) {
        List<Member> out = new ArrayList<>(members);
        int at = random.nextInt(out.size() + 1);
        int how = random.nextInt(10);
        if (at == out.size() || how < 4) {
            String name = pick(random, HostileText.NAMES);
            out.removeIf(m -> m.name().equals(name));
            out.add(new Member(name, value));
        } else if (how < 8) {
            out.set(at, new Member(out.get(at).name(), value));
        } else if (how == 8) {
            out.add(new Member(out.get(at).name(), value));
        } else {
            out.remove(at);
        }
        return out;
    }

    private static String nested(SplittableRandom random) {
        int depth = pick(random, List.of(3, 60, 63, 64, 65, 1000, 50_000));
        return random.nextBoolean()
                ? "[".repeat(depth) + "]".repeat(depth)
                : "{\"a\":".repeat(depth) + "1" + "}".repeat(depth);
    }

    /** Cuts, flips, inserts or repeats bytes. */
    private static byte[] damaged(byte[] body, SplittableRandom random) {
        int at = random.nextInt(body.length);
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(body, 0, at);
        switch (random.nextInt(5)) {
            case 0 -> {}
            case 1 -> {
                out.write(body[at] ^ 1 << random.nextInt(8));
                out.write(body, at + 1, body.length - at - 1);
            }
            case 2 -> {
                out.writeBytes(pick(
                        random,
                        List.of(
                                new byte[] {(byte) 0xff},
                                new byte[] {(byte) 0xc0, (byte) 0x80},
                                new byte[] {(byte) 0xed, (byte) 0xa0, (byte) 0x80},
                                new byte[] {(byte) 0xf5, (byte) 0x80, (byte) 0x80, (byte) 0x80},
                                new byte[] {0, 1, 2},
                                new byte[] {(byte) 0xef, (byte) 0xbb, (byte) 0xbf})));
                out.write(body, at, body.length - at);
            }
            case 3 -> {
                out.write(body, at, body.length - at);
                out.write(body, at, body.length - at);
            }
            default -> {
                byte[] noise = new byte[1 + random.nextInt(40)];
                random.nextBytes(noise);
                out.writeBytes(noise);
            }
        }
        return out.toByteArray();
    }

    private static String json(List<Member> members) {
        StringBuilder out = new StringBuilder("{");
        for (Member member : members) {
            out.append(out.length() == 1 ? "" : ", ")
                    .append('"')
                    .append(member.name())
                    .append("\": ");
            out.append(member.value());
        }
        return out.append('}').toString();
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    private static <T> T pick(SplittableRandom random, List<T> from) {
        return from.get(random.nextInt(from.size()));
    }
}
