package dev.quire.server;

import dev.quire.model.ModelLoader;
import dev.quire.model.Progress;
import dev.quire.model.store.ConsoleProgress;
import dev.quire.model.store.DownloadProgress;
import dev.quire.model.store.ModelStore;
import dev.quire.model.store.ModelStoreException;
import dev.quire.model.weights.WeightsException;
import dev.quire.scheduler.EngineFacts;
import dev.quire.server.http.HttpOptions;
import dev.quire.server.http.HttpServer;
import dev.quire.server.http.Router;
import dev.quire.server.openai.ApiError;
import dev.quire.server.openai.ApiSurface;
import dev.quire.server.openai.ErrorStyle;
import dev.quire.server.openai.LiveRequests;
import dev.quire.server.openai.ModelSlot;
import dev.quire.server.ops.Meters;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicBoolean;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The whole server: the port is open at once, the model follows, and everything is taken down in reverse. Any thread.
 */
public final class QuireServer {
    /** Exit code after an orderly stop. */
    public static final int STOPPED = 0;
    /** Exit code when the model could not be loaded, or the engine died. */
    public static final int FAILED = 1;

    private static final Logger LOG = LoggerFactory.getLogger(QuireServer.class);
    private static final Duration WATCH = Duration.ofSeconds(1);
    private static final Duration LAST_WORDS = Duration.ofSeconds(1);

    private final ServerConfig config;
    private final ModelSource models;
    private final ModelSlot slot = new ModelSlot();
    private final LiveRequests live = new LiveRequests();
    private final Meters meters = new Meters();
    private final HttpServer http;
    private final CountDownLatch bound = new CountDownLatch(1);
    private final CompletableFuture<Deployment> deployment = new CompletableFuture<>();
    private final CompletableFuture<Integer> ended = new CompletableFuture<>();
    private final AtomicBoolean stopping = new AtomicBoolean();

    private QuireServer(ServerConfig config, ModelSource models) throws IOException {
        this.config = config;
        this.models = models;
        // Loading and binding begin together: each takes some tenths of a second, most of it to initialise classes.
        Thread.ofPlatform().name("quire-loader").start(this::load);
        try {
            http = HttpServer.start(httpOptions(config), router());
        } catch (IOException e) {
            deployment.cancel(false); // the loader finds it so, and frees what it has loaded
            throw e;
        } finally {
            bound.countDown();
        }
    }

    private Router router() {
        ErrorStyle errors = config.edge().openAiErrors() ? ErrorStyle.OPENAI : ErrorStyle.VLLM;
        ApiSurface api = new ApiSurface(slot, live, errors, "quire-" + version());
        return new Router(
                ApiRoutes.all(api, meters, version()),
                (status, message) -> errors.body(new ApiError.Edge(status, message)),
                meters.http());
    }

    /**
     * Binds the port and begins to load the model.
     *
     * @throws IOException when the port cannot be bound
     */
    public static QuireServer start(ServerConfig config) throws IOException {
        return start(config, ModelLoader::load);
    }

    /** The same, with models from elsewhere: a measurement may put something else in the place of the device. */
    public static QuireServer start(ServerConfig config, ModelSource models) throws IOException {
        QuireServer server = new QuireServer(config, models);
        Thread.ofPlatform().name("quire-watch").daemon().start(server::watch);
        return server;
    }

    /** Of this build. */
    static String version() {
        String version = QuireServer.class.getPackage().getImplementationVersion();
        return version == null ? "unpackaged" : version;
    }

    /** The port that was bound. */
    public int port() {
        return http.port();
    }

    /**
     * Waits until requests are taken.
     *
     * @throws IllegalStateException when the model could not be loaded
     */
    public void awaitReady() throws InterruptedException {
        try {
            deployment.get();
        } catch (ExecutionException e) {
            throw new IllegalStateException("the server did not get ready", e.getCause());
        }
    }

    /** Waits until the server is down, and returns the process's exit code. */
    public int awaitEnd() throws InterruptedException {
        try {
            return ended.get();
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        }
    }

    /** Begins to take the server down, in the background; false when that had begun already. */
    boolean beginStop() {
        if (!stopping.compareAndSet(false, true)) {
            return false;
        }
        Thread.ofPlatform().name("quire-stop").start(() -> takeDown(STOPPED));
        return true;
    }

    /** Takes nothing new, lets what runs finish within the time for it, and frees everything. */
    public void drainAndClose() {
        end(STOPPED);
    }

    private static HttpOptions httpOptions(ServerConfig config) {
        HttpOptions usual = HttpOptions.defaults();
        ServerConfig.Edge edge = config.edge();
        return new HttpOptions(
                config.host(),
                config.port(),
                edge.rootPath(),
                edge.apiKeys(),
                edge.maxBodyBytes(),
                usual.maxConnections(),
                edge.clientTimeout(),
                edge.clientTimeout(),
                usual.keepAliveTimeout(),
                edge.clientTimeout(),
                edge.sseKeepAlive());
    }

    private void load() {
        try {
            Path files = findModel();
            Progress progress = slot::loading;
            Deployment loaded = Deployment.start(config, models, files, meters, progress);
            slot.ready(loaded.served()); // first: who waits for the deployment sends requests at once
            if (!deployment.complete(loaded)) {
                loaded.close(); // the server was stopped meanwhile
            }
        } catch (ModelStoreException | WeightsException | IllegalArgumentException | IllegalStateException e) {
            fail(e, String.valueOf(e.getMessage()));
        } catch (RuntimeException | Error e) {
            LOG.error("loading the model failed", e);
            fail(e, "loading the model failed: " + e);
        }
    }

    private Path findModel() {
        slot.loading("finding the model", 0);
        try (ConsoleProgress console = new ConsoleProgress()) {
            DownloadProgress both = (file, done, total) -> {
                slot.loading("downloading " + file, total > 0 ? (int) (done * 100 / total) : 0);
                console.update(file, done, total);
            };
            Path cache = ModelStore.cacheFolder(config.environment());
            return new ModelStore(cache, config.environment(), config.offline(), both).resolve(config.model());
        }
    }

    private void fail(Throwable cause, String message) {
        try {
            bound.await(); // what is not there yet cannot be taken down
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        slot.failed(message);
        if (deployment.completeExceptionally(cause)) {
            LOG.error("the server cannot start: {}", message);
            end(FAILED);
        }
    }

    /** Ends a server whose engine has died: a supervisor starts a new one, a zombie would only refuse. */
    private void watch() {
        try {
            awaitReady();
            Deployment running = deployment.join();
            while (!stopping.get()) {
                EngineFacts facts = running.engine().facts();
                if (facts.state() == EngineFacts.State.DEAD && !stopping.get()) {
                    LOG.error("the engine is dead, the server ends: {}", facts.detail());
                    slot.failed(facts.detail());
                    end(FAILED);
                    return;
                }
                Thread.sleep(WATCH);
            }
        } catch (InterruptedException | IllegalStateException e) {
            LOG.debug("no watch is kept", e);
        }
    }

    private void end(int code) {
        if (stopping.compareAndSet(false, true)) {
            takeDown(code);
        }
    }

    private void takeDown(int code) {
        try {
            slot.drain();
            http.drain();
            Duration patience = code == STOPPED ? config.engine().drain() : LAST_WORDS;
            if (live.count() > 0) {
                LOG.info("stopping; {} requests may finish within {} s", live.count(), patience.toSeconds());
            }
            if (!http.awaitAnswered(patience)) {
                LOG.warn("{} requests are cut off", live.count());
                live.endAll();
                http.awaitAnswered(LAST_WORDS);
            }
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        } finally {
            ended.complete(freeAll() ? code : FAILED);
        }
    }

    private boolean freeAll() {
        try {
            http.close();
            // A loader that is still busy finds the deployment cancelled, and frees what it has loaded.
            if (!deployment.cancel(false) && !deployment.isCompletedExceptionally()) {
                deployment.join().close();
            }
            return true;
        } catch (RuntimeException e) {
            LOG.error("the server did not stop in order", e);
            return false;
        } finally {
            meters.close();
        }
    }

    /** The model and its engine, once they are there. */
    @Nullable
    Deployment deployment() {
        return deployment.isCompletedExceptionally() ? null : deployment.getNow(null);
    }
}
