package dev.quire.bench;

import java.io.BufferedReader;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.atomic.LongAdder;

/**
 * The clients of {@link OverheadBench}, in a process of their own: one thread that keeps many streams open, and counts the
 * events that come and the tokens in them: one each, and when an answer has ended as many as the server says. Answers
 * every line on standard input with the counts so far; ends with the input.
 */
final class StreamCounter {
    private static final String USAGE = "\"completion_tokens\":";
    private static final byte[] DONE = "[DONE]".getBytes(StandardCharsets.US_ASCII);
    private static final int LONGEST_EVENT = 1 << 16;

    private final Selector selector = Selector.open();
    private final byte[] request;
    private final LongAdder events = new LongAdder();
    private final LongAdder tokens = new LongAdder();

    /** What has come on one connection and is not yet a whole event. */
    private static final class Unread {
        final byte[] bytes = new byte[LONGEST_EVENT];
        final ByteBuffer buffer = ByteBuffer.wrap(bytes);
        /** Events of the answer that is coming. */
        int events;
    }

    StreamCounter(String path, String body) throws IOException {
        request = ("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "
                        + body.getBytes(StandardCharsets.UTF_8).length + "\r\n\r\n" + body)
                .getBytes(StandardCharsets.UTF_8);
    }

    /** Arguments: port, streams, path, and the body of every request, which asks for a stream with usage. */
    public static void main(String[] arguments) throws IOException {
        StreamCounter counter = new StreamCounter(arguments[2], arguments[3]);
        int port = Integer.parseInt(arguments[0]);
        for (int i = 0; i < Integer.parseInt(arguments[1]); i++) {
            counter.open(port);
        }
        Thread.ofPlatform().daemon().name("streams").start(counter::runOrHalt);
        try (BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8))) {
            while (in.readLine() != null) {
                System.out.println(counter.counts());
            }
        }
    }

    /** Events and tokens so far. */
    String counts() {
        return events.sum() + " " + tokens.sum();
    }

    void open(int port) throws IOException {
        SocketChannel channel = SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
        channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
        channel.write(ByteBuffer.wrap(request));
        channel.configureBlocking(false);
        channel.register(selector, SelectionKey.OP_READ, new Unread());
    }

    private void runOrHalt() {
        try {
            run();
        } catch (IOException | RuntimeException e) {
            System.err.println("quire bench: " + e);
            Runtime.getRuntime().halt(1);
        }
    }

    /** Counts until a connection fails. */
    void run() throws IOException {
        while (true) {
            selector.select(this::read);
        }
    }

    private void read(SelectionKey key) {
        try {
            SocketChannel channel = (SocketChannel) key.channel();
            Unread unread = (Unread) key.attachment();
            if (channel.read(unread.buffer) < 0) {
                throw new EOFException("the server closed a connection");
            }
            int taken = take(channel, unread, unread.buffer.position());
            unread.buffer.flip().position(taken);
            unread.buffer.compact();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Counts the events that are complete; returns where the next one begins. */
    private int take(SocketChannel channel, Unread unread, int end) throws IOException {
        byte[] bytes = unread.bytes;
        int start = 0;
        for (int i = 1; i < end; i++) {
            if (bytes[i] == '\n' && bytes[i - 1] == '\n') {
                event(channel, unread, start, i - 1);
                start = i + 1;
                i++;
            }
        }
        return start;
    }

    private void event(SocketChannel channel, Unread unread, int start, int end) throws IOException {
        byte[] bytes = unread.bytes;
        if (endsWith(bytes, start, end, DONE)) {
            channel.write(ByteBuffer.wrap(request)); // a new stream on the same connection
        } else if (bytes[end - 1] == '}' && bytes[end - 2] == '}') {
            tokens.add(usage(bytes, start, end) - unread.events);
            unread.events = 0;
        } else {
            events.increment();
            tokens.increment(); // until the server says how many there were
            unread.events++;
        }
    }

    private static boolean endsWith(byte[] bytes, int start, int end, byte[] word) {
        return end - start >= word.length && Arrays.equals(bytes, end - word.length, end, word, 0, word.length);
    }

    private static int usage(byte[] bytes, int start, int end) {
        String event = new String(bytes, start, end - start, StandardCharsets.US_ASCII);
        int at = event.indexOf(USAGE) + USAGE.length();
        int stop = at;
        while (Character.isDigit(event.charAt(stop))) {
            stop++;
        }
        return Integer.parseInt(event.substring(at, stop));
    }
}
