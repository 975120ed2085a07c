package dev.quire.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import dev.quire.kernels.Backend;
import dev.quire.kernels.JavaBackend;
import dev.quire.model.arch.Architectures;
import dev.quire.model.arch.GgufConfig;
import dev.quire.model.arch.HfConfig;
import dev.quire.model.arch.ModelConfig;
import dev.quire.model.arch.Shard;
import dev.quire.model.arch.Weights;
import dev.quire.model.weights.GgufFile;
import dev.quire.model.weights.GgufWeights;
import dev.quire.model.weights.SafetensorsDirectory;
import dev.quire.model.weights.SafetensorsWeights;
import dev.quire.model.weights.WeightSource;
import dev.quire.model.weights.WeightsException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Damaged model files: each either loads, or is refused by a {@link WeightsException} that names the file; nothing else
 * comes out, and no memory stays behind.
 */
class HostileFilesTest {
    private static final int GGUF_MUTATIONS = 3000;
    private static final int SAFETENSORS_MUTATIONS = 2000;
    private static final long[] NUMBERS = {
        0,
        1,
        2,
        3,
        31,
        33,
        255,
        65536,
        1 << 20,
        1L << 31,
        (1L << 31) - 1,
        1L << 32,
        (1L << 32) - 1,
        1L << 48,
        1L << 61,
        1L << 62,
        Long.MAX_VALUE,
        Long.MIN_VALUE,
        -1,
        -2,
        -32,
        0x4000000000000001L
    };

    private final Path folder;

    HostileFilesTest(@TempDir Path folder) {
        this.folder = folder;
    }

    /** A load that may fail. */
    private interface Load {
        void run() throws IOException;
    }

    private static byte[] damaged(byte[] sound, int header, SplittableRandom random) {
        byte[] bytes = sound.clone();
        int times = 1 + random.nextInt(3);
        for (int i = 0; i < times; i++) {
            bytes = damagedOnce(bytes, Math.min(header, bytes.length), random);
        }
        return bytes;
    }

    private static byte[] damagedOnce(byte[] bytes, int header, SplittableRandom random) {
        if (header < 16) {
            return bytes;
        }
        int at = random.nextInt(header - 8);
        switch (random.nextInt(8)) {
            case 0 -> {
                return Arrays.copyOf(bytes, random.nextInt(bytes.length));
            }
            case 1 -> {
                return Arrays.copyOf(bytes, at);
            }
            case 2, 3 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
            case 4 -> bytes[at] = (byte) random.nextInt(256);
            case 5 -> System.arraycopy(bytes, random.nextInt(header - 8), bytes, at, 1 + random.nextInt(8));
            case 6 -> little(bytes).putInt(at, (int) NUMBERS[random.nextInt(NUMBERS.length)]);
            default -> little(bytes).putLong(at, NUMBERS[random.nextInt(NUMBERS.length)]);
        }
        return bytes;
    }

    private static ByteBuffer little(byte[] bytes) {
        return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    }

    private static boolean loads(Load load, int seed) {
        try {
            load.run();
            return true;
        } catch (WeightsException e) {
            assertThat(e).as("mutation %d", seed).hasMessageContaining("hostile");
            return false;
        } catch (IOException | RuntimeException | OutOfMemoryError | StackOverflowError e) {
            return fail("mutation " + seed, e);
        }
    }

    private static void loadWeights(Backend backend, ModelConfig config, WeightSource source) {
        try (Weights weights = new Weights(backend, source, Shard.WHOLE, _ -> {})) {
            Architectures.create(config, weights);
        }
    }

    @Test
    void aDamagedGgufFileLoadsOrIsRefusedByName() throws IOException {
        byte[] sound = TinyGguf.of("qwen2");
        int header = 4096;
        Path file = folder.resolve("hostile.gguf");
        int sane = 0;
        try (Backend backend = new JavaBackend(1)) {
            for (int seed = 0; seed < GGUF_MUTATIONS; seed++) {
                Files.write(file, seed == 0 ? sound : damaged(sound, header, new SplittableRandom(seed)));
                boolean loaded = loads(
                        () -> {
                            try (GgufFile gguf = GgufFile.open(file)) {
                                loadWeights(backend, GgufConfig.read(gguf), new GgufWeights(gguf));
                            }
                        },
                        seed);
                sane += loaded ? 1 : 0;
                assertThat(backend.liveBuffers()).isZero();
            }
        }
        System.out.println(sane + " of " + GGUF_MUTATIONS + " damaged GGUF files load");
        assertThat(sane).isBetween(1, GGUF_MUTATIONS / 2);
    }

    @Test
    void aDamagedSafetensorsFolderLoadsOrIsRefusedByName() throws IOException {
        Path tiny = TinyModels.folder("qwen3");
        Path hostile = Files.createDirectory(folder.resolve("hostile"));
        byte[] weights = Files.readAllBytes(tiny.resolve("model.safetensors"));
        byte[] config = Files.readAllBytes(tiny.resolve("config.json"));
        int header = (int) little(weights).getLong(0) + 8;
        Files.write(hostile.resolve("config.json"), config);
        Files.write(hostile.resolve("model.safetensors"), weights);
        int sane = 0;
        try (Backend backend = new JavaBackend(1)) {
            for (int seed = 0; seed < SAFETENSORS_MUTATIONS; seed++) {
                SplittableRandom random = new SplittableRandom(seed);
                boolean inConfig = random.nextInt(4) == 0;
                Path part = hostile.resolve(inConfig ? "config.json" : "model.safetensors");
                byte[] sound = inConfig ? config : weights;
                Files.write(part, damaged(sound, inConfig ? config.length : header, random));
                boolean loaded = loads(
                        () -> {
                            ModelConfig shape = HfConfig.read(hostile);
                            try (WeightSource source = new SafetensorsWeights(SafetensorsDirectory.open(hostile))) {
                                loadWeights(backend, shape, source);
                            }
                        },
                        seed);
                Files.write(part, sound);
                sane += loaded ? 1 : 0;
                assertThat(backend.liveBuffers()).isZero();
            }
        }
        System.out.println(sane + " of " + SAFETENSORS_MUTATIONS + " damaged safetensors folders load");
        assertThat(sane).isBetween(1, SAFETENSORS_MUTATIONS / 2);
    }
}
