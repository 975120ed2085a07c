package dev.quire.model;

import dev.quire.kernels.Backend;
import dev.quire.kernels.Backends;
import dev.quire.kernels.DeviceGroup;
import dev.quire.kernels.KernelException;
import dev.quire.kernels.Op;
import dev.quire.kernels.Tensor;
import dev.quire.kvcache.KvConfig;
import dev.quire.kvcache.KvStore;
import dev.quire.model.arch.Architecture;
import dev.quire.model.arch.Architectures;
import dev.quire.model.arch.GgufConfig;
import dev.quire.model.arch.HfConfig;
import dev.quire.model.arch.ModelConfig;
import dev.quire.model.arch.Shard;
import dev.quire.model.arch.Weights;
import dev.quire.model.arch.Workspace;
import dev.quire.model.chat.ChatFormat;
import dev.quire.model.chat.ChatFormats;
import dev.quire.model.tokenizer.Tokenizer;
import dev.quire.model.tokenizer.Tokenizers;
import dev.quire.model.weights.GgufFile;
import dev.quire.model.weights.GgufWeights;
import dev.quire.model.weights.SafetensorsDirectory;
import dev.quire.model.weights.SafetensorsWeights;
import dev.quire.model.weights.WeightSource;
import dev.quire.model.weights.WeightTensor;
import dev.quire.model.weights.WeightsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;

/** Turns model files into a {@link LoadedModel}: weights packed on the device, KV cache sized, program compiled. */
public final class ModelLoader {
    private static final long MAX_ROPE_FLOATS = 1L << 28;
    private static final long MAX_SCORE_BYTES = 64L << 20;
    private static final int MAX_SCORES = 256;
    private static final long MAX_BIASES = 1024;
    private static final long MAX_EXTRAS = 1 << 20;

    /** A model that runs token ids; what {@link LoadedModel} is without a tokenizer. */
    record LoadedRunner(
            ModelConfig config,
            DeviceRunner runner,
            DeviceGroup devices,
            long weightBytes,
            long kvBytes,
            String kvType,
            Resources resources)
            implements AutoCloseable {
        @Override
        public void close() {
            resources.close();
        }
    }

    private final LoadOptions options;
    private final Progress progress;
    private final Resources resources;

    private ModelLoader(LoadOptions options, Progress progress, Resources resources) {
        this.options = options;
        this.progress = progress;
        this.resources = resources;
    }

    /** Loads without reports of progress. */
    public static LoadedModel load(Path model, LoadOptions options) {
        return load(model, options, Progress.NONE);
    }

    /**
     * Loads a {@code .gguf} file, or a folder with config.json, safetensors and tokenizer.json. Everything is freed when
     * that fails.
     *
     * @throws WeightsException when a file is missing, not sound, or asks for something that is not supported
     * @throws IllegalArgumentException when an option is out of range, or the KV cache it allows is too small
     * @throws IllegalStateException when the device asked for is not to be had
     */
    public static LoadedModel load(Path model, LoadOptions options, Progress progress) {
        progress.report("reading the tokenizer", 0);
        if (Files.isDirectory(model)) {
            ModelConfig config = HfConfig.read(model);
            Tokenizer tokenizer = fitting(model, Tokenizers.fromDirectory(model), config);
            ChatFormat chat = override(model, options);
            chat = chat == null ? ChatFormats.fromDirectory(model) : chat;
            return loaded(model, tokenizer, chat, loadFolder(model, config, options, progress));
        }
        try (GgufFile file = GgufFile.open(model)) {
            ModelConfig config = GgufConfig.read(file);
            Tokenizer tokenizer = fitting(model, Tokenizers.fromGguf(file), config);
            ChatFormat chat = override(model, options);
            chat = chat == null ? ChatFormats.fromGguf(file) : chat;
            return loaded(model, tokenizer, chat, loadRunner(config, new GgufWeights(file), options, progress));
        }
    }

    private static Tokenizer fitting(Path model, Tokenizer tokenizer, ModelConfig config) {
        if (tokenizer.vocabSize() > config.vocab()) {
            throw new WeightsException(
                    model, "the tokenizer has " + tokenizer.vocabSize() + " ids, the embedding has " + config.vocab());
        }
        return tokenizer;
    }

    private static @Nullable ChatFormat override(Path model, LoadOptions options) {
        Path file = options.chatTemplate();
        return file == null ? null : ChatFormats.fromFile(file, ChatFormats.specialTokens(model));
    }

    private static LoadedModel loaded(Path model, Tokenizer tokenizer, @Nullable ChatFormat chat, LoadedRunner loaded) {
        return new LoadedModel(
                name(model),
                loaded.config,
                tokenizer,
                chat,
                loaded.runner,
                loaded.devices.rank(0).device(),
                loaded.devices.size(),
                loaded.weightBytes,
                loaded.kvBytes,
                loaded.kvType,
                loaded);
    }

    private static String name(Path model) {
        Path last = model.toAbsolutePath().normalize().getFileName();
        String name = last == null ? "model" : last.toString();
        return name.endsWith(".gguf") ? name.substring(0, name.length() - ".gguf".length()) : name;
    }

    /** The part of {@link #load} that needs no tokenizer. */
    static LoadedRunner loadRunner(Path model, LoadOptions options, Progress progress) {
        if (Files.isDirectory(model)) {
            return loadFolder(model, HfConfig.read(model), options, progress);
        }
        try (GgufFile file = GgufFile.open(model)) {
            return loadRunner(GgufConfig.read(file), new GgufWeights(file), options, progress);
        }
    }

    private static LoadedRunner loadFolder(Path folder, ModelConfig config, LoadOptions options, Progress progress) {
        try (WeightSource source = new SafetensorsWeights(SafetensorsDirectory.open(folder))) {
            return loadRunner(config, source, options, progress);
        }
    }

    private static LoadedRunner loadRunner(
            ModelConfig config, WeightSource source, LoadOptions options, Progress progress) {
        Resources resources = new Resources();
        try {
            return new ModelLoader(options, progress, resources).run(config, source);
        } catch (RuntimeException | Error e) {
            try {
                resources.close();
            } catch (RuntimeException closing) {
                e.addSuppressed(closing);
            }
            throw e;
        }
    }

    private LoadedRunner run(ModelConfig config, WeightSource source) {
        checkOptions();
        int maxModelLen = KvSizing.maxModelLen(config, options);
        if ((long) maxModelLen * config.rotaryDim() > MAX_ROPE_FLOATS) {
            throw new IllegalArgumentException("max-model-len is " + maxModelLen + ", at most "
                    + MAX_ROPE_FLOATS / config.rotaryDim() + " positions fit the rotary table");
        }
        ModelConfig share = config.share(options.tensorParallel());
        DeviceGroup devices = resources.add(
                Backends.openGroup(options.device(), options.isa(), options.threads(), options.tensorParallel()));
        requireMemory(source, devices.size(), available(devices));
        ModelRunner.Limits smallest = limits(config, maxModelLen, new KvConfig(1, options.blockTokens()));
        List<RankModel> ranks = loadRanks(config, share, source, devices, smallest);
        boolean exact =
                devices.rank(0).keepsFloat32() && (ranks.getFirst().weights().allFloat32() || options.highPrecision());
        Op.KvType type = KvSizing.type(options.kvType(), exact);
        KvStore.Shape shape = KvSizing.shape(share, type);
        boolean ownMemory = devices.rank(0).freeBytes().isPresent();
        if (ownMemory) {
            ranks.forEach(rank -> rank.reserveSteps(shape, smallest, options.highPrecision()));
        }
        KvStore.Shape whole = KvSizing.shape(config, type);
        KvConfig pool = size(whole, maxModelLen, devices, ownMemory);
        KvConfig kv = KvSizing.withHost(pool, whole, options.kvOffloadBytes(), besides(pool, whole, ownMemory));
        ModelRunner.Limits limits = limits(config, maxModelLen, kv);
        List<RankModel.Recorded> recorded = new ArrayList<>();
        long kvBytes = 0;
        for (RankModel rank : ranks) {
            KvStore store = resources.add(KvStore.allocate(rank.device(), shape, kv));
            kvBytes += store.bytes();
            recorded.add(rank.over(store, options.highPrecision()));
            resources.add(recorded.getLast().program());
        }
        DeviceRunner runner = resources.add(runner(devices, recorded, limits));
        progress.report("ready", 100);
        String kvType = KvSizing.name(type);
        long weightBytes =
                ranks.stream().mapToLong(rank -> rank.weights().bytes()).sum();
        return new LoadedRunner(config, runner, devices, weightBytes, kvBytes, kvType, resources);
    }

    /** Loads the weights of all ranks, of several side by side; the first tells how far they are. */
    private List<RankModel> loadRanks(
            ModelConfig config,
            ModelConfig share,
            WeightSource source,
            DeviceGroup devices,
            ModelRunner.Limits limits) {
        long total = Math.max(1, source.bytes());
        List<Callable<RankModel>> loads = new ArrayList<>();
        for (int r = 0; r < devices.size(); r++) {
            Shard shard = new Shard(r, devices.size());
            Backend device = devices.rank(r);
            Weights weights = resources.add(new Weights(device, source, shard, read -> {
                if (shard.first()) {
                    progress.report("loading weights", (int) Math.min(95, read * 95 / total));
                }
            }));
            Workspace workspace =
                    resources.add(new Workspace(device, limits.maxTokens(), DeviceRunner.logitsRows(limits)));
            loads.add(() -> {
                try {
                    Architecture architecture = architecture(config, weights, source);
                    Tensor cosSin = weights.cosSin(config, limits.maxModelLen());
                    return new RankModel(device, shard, share, weights, architecture, cosSin, workspace);
                } finally {
                    weights.releaseStaging();
                }
            });
        }
        return SideBySide.run("quire-load-", loads);
    }

    /** The cache of all ranks together: of a model on one device, blocks have the same number and size in all. */
    private KvConfig size(KvStore.Shape whole, int maxModelLen, DeviceGroup devices, boolean ownMemory) {
        OptionalLong free = available(devices);
        if (!ownMemory) {
            return KvSizing.size(whole, options, maxModelLen, free);
        }
        long total = devices.rank(0).device().memoryBytes() * devices.size();
        return KvSizing.sizeOnDevice(whole, options, maxModelLen, free.orElseThrow(), total);
    }

    private static DeviceRunner runner(DeviceGroup devices, List<RankModel.Recorded> ranks, ModelRunner.Limits limits) {
        RankModel.Recorded first = ranks.getFirst();
        StepExecutor executor = devices.size() == 1
                ? new StepExecutor.OneDevice(devices.rank(0), first.program())
                : new RankThreads(
                        devices,
                        ranks.stream().map(RankModel.Recorded::program).toList(),
                        DeviceRunner.capacity(limits));
        return new DeviceRunner(new DeviceRunner.Model(devices.rank(0), executor, first.logits()), limits);
    }

    /** Memory that may still be taken: the host's, or as much of each device as the fullest has left. */
    private static OptionalLong available(DeviceGroup devices) {
        OptionalLong least = devices.rank(0).freeBytes();
        if (least.isEmpty()) {
            return HostMemory.system().available();
        }
        long bytes = least.getAsLong();
        for (int r = 1; r < devices.size(); r++) {
            bytes = Math.min(bytes, devices.rank(r).freeBytes().orElse(bytes));
        }
        return OptionalLong.of(bytes * devices.size());
    }

    /** Host memory that may be taken beside the KV cache. */
    private static OptionalLong besides(KvConfig pool, KvStore.Shape shape, boolean ownMemory) {
        OptionalLong host = HostMemory.system().available();
        long cache = ownMemory ? 0 : pool.blocks() * shape.blockBytes(pool.blockTokens());
        return host.isEmpty() ? host : OptionalLong.of(Math.max(0, host.getAsLong() - cache));
    }

    private static void requireMemory(WeightSource source, int ranks, OptionalLong free) {
        // Each rank has the whole embedding, and where there are several, its part of the head apart from it.
        long bytes = source.bytes() + (ranks == 1 ? 0 : ranks * embeddingBytes(source));
        free.ifPresent(available -> {
            if (bytes > available) {
                throw new IllegalArgumentException("the weights take " + bytes + " bytes and this process may"
                        + " take " + available + " more; give it more memory, or choose a smaller or a more strongly"
                        + " quantised model");
            }
        });
    }

    private static long embeddingBytes(WeightSource source) {
        WeightTensor embedding = source.tensor("model.embed_tokens.weight");
        long bytes = embedding.data().byteSize();
        source.release(embedding);
        return bytes;
    }

    private void checkOptions() {
        if (options.blockTokens() < 16 || options.blockTokens() % 16 != 0 || options.blockTokens() > 1024) {
            throw new IllegalArgumentException(
                    "block-size is " + options.blockTokens() + ", allowed: multiples of 16 up to 1024");
        }
        within("tensor-parallel-size", options.tensorParallel(), Backends.MAX_RANKS);
        within("max-num-batched-tokens", options.maxBatchedTokens(), 1 << 20);
        within("max-num-seqs", options.maxSequences(), 1 << 14);
        if (!(options.gpuMemoryUtilization() > 0 && options.gpuMemoryUtilization() <= 1)) {
            throw new IllegalArgumentException(
                    "gpu-memory-utilization is " + options.gpuMemoryUtilization() + ", allowed: above 0 and at most 1");
        }
        if (options.kvOffloadBytes() < 0) {
            throw new IllegalArgumentException(
                    "kv-offloading-size is " + options.kvOffloadBytes() + " bytes, allowed: 0 or more");
        }
        if (options.kvCacheBytes() < 0) {
            throw new IllegalArgumentException(
                    "kv-cache-memory-bytes is " + options.kvCacheBytes() + ", allowed: 0 or more");
        }
    }

    private static void within(String name, int value, int most) {
        if (value < 1 || value > most) {
            throw new IllegalArgumentException(name + " is " + value + ", allowed: 1 to " + most);
        }
    }

    private static Architecture architecture(ModelConfig config, Weights weights, WeightSource source) {
        try {
            return Architectures.create(config, weights);
        } catch (IllegalArgumentException | KernelException e) {
            throw new WeightsException(source.path(), -1, "cannot be loaded: " + e.getMessage(), e);
        }
    }

    private ModelRunner.Limits limits(ModelConfig config, int maxModelLen, KvConfig kv) {
        // A scored position costs a row of logits; a large vocabulary gets fewer of them.
        long rows = MAX_SCORE_BYTES / ((long) config.vocab() * Float.BYTES);
        int maxScores = Math.clamp(rows, 16, MAX_SCORES);
        int maxDraws = Math.max(MAX_SCORES, 2 * options.maxSequences());
        // Penalties list every distinct token of a sequence; beyond a million entries a step would be all lists.
        long extras = maxDraws * (MAX_BIASES + Math.min(maxModelLen, config.vocab()));
        return new ModelRunner.Limits(
                options.maxBatchedTokens(),
                options.maxSequences(),
                maxModelLen,
                maxScores,
                maxDraws,
                (int) Math.min(MAX_EXTRAS, extras),
                kv.blocks(),
                kv.blockTokens(),
                kv.hostBlocks());
    }
}
