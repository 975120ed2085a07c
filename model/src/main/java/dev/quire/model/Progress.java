package dev.quire.model;

/** Told how far loading is; called on the loading thread. */
@FunctionalInterface
public interface Progress {
    /** For callers that do not ask. */
    Progress NONE = (phase, percent) -> {};

    /**
     * @param phase what is being done, a few words for people
     * @param percent of the whole load, 0 to 100, never falling
     */
    void report(String phase, int percent);
}
