package dev.quire.model.arch;

import static java.util.Objects.requireNonNull;

import dev.quire.kernels.Weight;

/**
 * The mixture of experts of one layer. Every matrix but the router's holds that of each expert, one below the other.
 *
 * @param router {@code [experts, hidden]}
 * @param gate {@code [experts inner, hidden]}, inner being the rank's share
 * @param up {@code [experts inner, hidden]}
 * @param down {@code [experts hidden, inner]}
 */
record Experts(ModelConfig.Experts shape, Weight router, Weight gate, Weight up, Weight down) {
    /** @param at what the names of the router, {@code gate}, and of the experts begin with */
    static Experts load(ModelConfig c, Weights w, String at, String gate, String up, String down) {
        ModelConfig.Experts shape = requireNonNull(c.experts());
        int count = shape.count();
        int inner = shape.inner();
        String experts = at + "experts.";
        return new Experts(
                shape,
                w.matrix(at + "gate.weight", count, c.hidden()),
                w.expertsColumnParallel(experts, gate + ".weight", count, inner, c.hidden()),
                w.expertsColumnParallel(experts, up + ".weight", count, inner, c.hidden()),
                w.expertsRowParallel(experts, down + ".weight", count, c.hidden(), inner));
    }
}
