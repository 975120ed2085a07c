package dev.quire.model;

import dev.quire.kernels.Backend;
import dev.quire.kernels.Tensor;
import dev.quire.kvcache.KvConfig;
import dev.quire.kvcache.KvStore;
import dev.quire.model.arch.Architecture;
import dev.quire.model.arch.Forward;
import dev.quire.model.arch.ModelConfig;
import dev.quire.model.arch.Shard;
import dev.quire.model.arch.Weights;
import dev.quire.model.arch.Workspace;

/**
 * One rank's part of a model, whose program can be recorded over a cache.
 *
 * @param config of this rank
 * @param cosSin the rotary table, {@code [positions, rotaryDim]}
 */
record RankModel(
        Backend device,
        Shard shard,
        ModelConfig config,
        Weights weights,
        Architecture architecture,
        Tensor cosSin,
        Workspace workspace) {
    /** @param logits where the program leaves them: {@code [R, vocab]} on the first rank */
    record Recorded(Backend.Program program, Tensor logits) {}

    Recorded over(KvStore store, boolean highPrecision) {
        Forward forward = new Forward(config, workspace, store, cosSin, highPrecision, shard);
        Tensor logits = architecture.logits(forward);
        return new Recorded(device.compile(forward.operations()), logits);
    }

    /** Takes the memory of the largest steps, with a cache of one block in the place of the one that gets the rest. */
    void reserveSteps(KvStore.Shape shape, ModelRunner.Limits limits, boolean highPrecision) {
        KvConfig one = new KvConfig(limits.kvBlocks(), limits.blockTokens());
        try (KvStore store = KvStore.allocate(device, shape, one);
                Backend.Program program = over(store, highPrecision).program()) {
            LargestSteps.reserve(device, program, limits, shard.first());
        }
    }
}
