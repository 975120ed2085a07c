package dev.quire.model.store;

/** Told how far a download is. Called on the thread that called {@link ModelStore#resolve}, several times a second. */
@FunctionalInterface
public interface DownloadProgress {
    /** Tells nobody. */
    DownloadProgress NONE = (file, doneBytes, totalBytes) -> {};

    /**
     * One step of a download; a file is finished when {@code doneBytes == totalBytes}.
     *
     * @param file name of the file, without folders
     * @param doneBytes bytes on disk, those of an earlier attempt included; may fall back when a source starts over
     * @param totalBytes size of the file, or -1 while it is unknown
     */
    void update(String file, long doneBytes, long totalBytes);
}
