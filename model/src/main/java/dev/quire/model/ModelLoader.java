package dev.quire.model;

import dev.quire.kernels.Backend;
import dev.quire.kernels.Backends;
import dev.quire.kernels.KernelException;
import dev.quire.kernels.Op;
import dev.quire.kernels.Tensor;
import dev.quire.kvcache.KvConfig;
import dev.quire.kvcache.KvStore;
import dev.quire.model.arch.Architecture;
import dev.quire.model.arch.Architectures;
import dev.quire.model.arch.Forward;
import dev.quire.model.arch.GgufConfig;
import dev.quire.model.arch.HfConfig;
import dev.quire.model.arch.ModelConfig;
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
import dev.quire.model.weights.WeightsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalLong;
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
            Backend backend,
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
                loaded.backend.device(),
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
        Backend backend = resources.add(Backends.open(options.device(), options.isa(), options.threads()));
        requireMemory(source, available(backend));
        long total = Math.max(1, source.bytes());
        Weights weights = resources.add(new Weights(
                backend, source, read -> progress.report("loading weights", (int) Math.min(95, read * 95 / total))));
        Architecture architecture = architecture(config, weights, source);
        weights.releaseStaging();
        Tensor cosSin = weights.cosSin(config, maxModelLen);
        boolean exact = backend.keepsFloat32() && (weights.allFloat32() || options.highPrecision());
        KvStore.Shape shape = KvSizing.shape(config, KvSizing.type(options.kvType(), exact));
        ModelRunner.Limits smallest = limits(config, maxModelLen, new KvConfig(1, options.blockTokens()));
        Workspace workspace =
                resources.add(new Workspace(backend, smallest.maxTokens(), DeviceRunner.logitsRows(smallest)));
        Recording recording = store -> {
            Forward forward = new Forward(config, workspace, store, cosSin, options.highPrecision());
            Tensor logits = architecture.logits(forward);
            return new DeviceRunner.Model(backend, backend.compile(forward.operations()), logits);
        };
        boolean ownMemory = backend.freeBytes().isPresent();
        if (ownMemory) {
            reserveSteps(backend, recording, shape, smallest);
        }
        OptionalLong free = available(backend);
        KvConfig kv = ownMemory
                ? KvSizing.sizeOnDevice(
                        shape,
                        options,
                        maxModelLen,
                        free.orElseThrow(),
                        backend.device().memoryBytes())
                : KvSizing.size(shape, options, maxModelLen, free);
        KvStore store = resources.add(KvStore.allocate(backend, shape, kv));
        DeviceRunner runner = resources.add(new DeviceRunner(recording.over(store), limits(config, maxModelLen, kv)));
        progress.report("ready", 100);
        String kvType = shape.type() == Op.KvType.F32 ? "f32" : "bf16";
        return new LoadedRunner(config, runner, backend, weights.bytes(), store.bytes(), kvType, resources);
    }

    /** The model's list of operations over a cache. */
    private interface Recording {
        DeviceRunner.Model over(KvStore store);
    }

    /** Takes the memory of the largest steps, with a cache of one block in the place of the one that gets the rest. */
    private static void reserveSteps(
            Backend backend, Recording recording, KvStore.Shape shape, ModelRunner.Limits limits) {
        KvConfig one = new KvConfig(limits.kvBlocks(), limits.blockTokens());
        try (KvStore store = KvStore.allocate(backend, shape, one);
                Backend.Program program = recording.over(store).program()) {
            LargestSteps.reserve(backend, program, limits);
        }
    }

    /** Memory of the device that may still be taken. */
    private static OptionalLong available(Backend backend) {
        OptionalLong own = backend.freeBytes();
        return own.isPresent() ? own : HostMemory.system().available();
    }

    private static void requireMemory(WeightSource source, OptionalLong free) {
        free.ifPresent(available -> {
            if (source.bytes() > available) {
                throw new IllegalArgumentException("the weights take " + source.bytes() + " bytes and this process may"
                        + " take " + available + " more; give it more memory, or choose a smaller or a more strongly"
                        + " quantised model");
            }
        });
    }

    private void checkOptions() {
        if (options.blockTokens() < 16 || options.blockTokens() % 16 != 0 || options.blockTokens() > 1024) {
            throw new IllegalArgumentException(
                    "block-size is " + options.blockTokens() + ", allowed: multiples of 16 up to 1024");
        }
        within("max-num-batched-tokens", options.maxBatchedTokens(), 1 << 20);
        within("max-num-seqs", options.maxSequences(), 1 << 14);
        if (!(options.gpuMemoryUtilization() > 0 && options.gpuMemoryUtilization() <= 1)) {
            throw new IllegalArgumentException(
                    "gpu-memory-utilization is " + options.gpuMemoryUtilization() + ", allowed: above 0 and at most 1");
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
                kv.blockTokens());
    }
}
