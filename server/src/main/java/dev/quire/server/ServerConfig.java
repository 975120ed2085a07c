package dev.quire.server;

import dev.quire.model.LoadOptions;
import dev.quire.scheduler.Speculation;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Everything a server is told when it starts. Made once, by {@link Flags}; immutable.
 *
 * @param host address to listen on
 * @param port 0 = any free one
 * @param model path, Hub id, or null for the default model
 * @param servedModelNames names that requests may use, the first is echoed; empty = the model's own
 * @param offline never use the network to find the model
 * @param load how the model is loaded
 * @param engine how requests are scheduled
 * @param edge limits of the HTTP side
 * @param recordArrivals file that gets a line for each request that ended: times and lengths; null = none
 * @param environment variables that finding the model reads: cache folder, proxies, the Hub's address and token
 */
public record ServerConfig(
        String host,
        int port,
        @Nullable String model,
        List<String> servedModelNames,
        boolean offline,
        LoadOptions load,
        Scheduling engine,
        Edge edge,
        @Nullable Path recordArrivals,
        Map<String, String> environment) {
    /** Who goes first. */
    public enum Policy {
        /** Who came first. */
        FCFS,
        /** Who has the lower priority number. */
        PRIORITY
    }

    /** When a request joins and leaves the batch. */
    public enum Batching {
        /** At every step. */
        CONTINUOUS,
        /** With all others of a full batch. */
        STATIC,
        /** With all others that came within a few milliseconds. */
        DYNAMIC
    }

    /**
     * How requests are scheduled.
     *
     * @param policy who goes first
     * @param batching when a request joins and leaves the batch; anything but continuous shares no prefixes and guesses nothing
     * @param prefixCaching whether computed prefixes are shared
     * @param speculation how far ahead sequences may guess
     * @param maxQueuedRequests unfinished sequences beyond which requests are refused
     * @param maxQueuedTokens prompt tokens waiting for prefill beyond which requests are refused; 0 = no limit
     * @param drain how long running requests may go on after SIGTERM
     */
    public record Scheduling(
            Policy policy,
            Batching batching,
            boolean prefixCaching,
            Speculation speculation,
            int maxQueuedRequests,
            long maxQueuedTokens,
            Duration drain) {
        public Scheduling {
            // Rows that are reserved whole cannot share blocks, and rows in step take a token each.
            prefixCaching &= batching == Batching.CONTINUOUS;
            speculation = batching == Batching.CONTINUOUS ? speculation : Speculation.NONE;
        }
    }

    /**
     * Limits of the HTTP side.
     *
     * @param apiKeys empty = no key needed
     * @param rootPath prefix that a proxy may leave on paths; empty = none
     * @param maxBodyBytes of a request
     * @param clientTimeout a client that neither sends what it has begun nor takes what it is sent for so long is dropped
     * @param sseKeepAlive idle time after which a stream gets a comment; zero = never
     * @param openAiErrors error bodies as OpenAI writes them instead of vLLM's
     */
    public record Edge(
            List<String> apiKeys,
            String rootPath,
            int maxBodyBytes,
            Duration clientTimeout,
            Duration sseKeepAlive,
            boolean openAiErrors) {}
}
