package dev.quire.model.store;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Hub repositories in the cache: {@code hub/models--org--name/snapshots/<commit>/<file>}, with
 * {@code refs/<revision>} naming the commit that a branch or tag last meant.
 */
final class HubSnapshots {
    private final Path root;

    /** @param cache the store's cache folder */
    HubSnapshots(Path cache) {
        this.root = cache.resolve("hub");
    }

    private Path folder(HubId id) {
        return root.resolve("models--" + id.repository().replace("/", "--"));
    }

    private Path reference(HubId id) {
        return folder(id).resolve("refs").resolve(id.revision().replace("/", "--"));
    }

    /** The marker is written last: a snapshot without it is one that is still being fetched. */
    private static Path marker(Path snapshot, HubId id) {
        return snapshot.resolve(".complete" + (id.file() == null ? "" : "-" + id.file()));
    }

    /** The complete model that the revision last meant, or null. */
    @Nullable
    Path cached(HubId id) throws IOException {
        String commit = id.revision();
        if (!HubId.isCommit(commit)) {
            Path reference = reference(id);
            if (!Files.isRegularFile(reference)) {
                return null;
            }
            commit = Files.readString(reference).strip();
            if (!HubId.isCommit(commit)) {
                return null;
            }
        }
        Path marker = marker(folder(id).resolve("snapshots").resolve(commit), id);
        return Files.isRegularFile(marker) ? model(marker) : null;
    }

    private static @Nullable Path model(Path marker) throws IOException {
        String name = Files.readString(marker).strip();
        Path model = name.equals(".") ? marker.getParent() : marker.resolveSibling(name);
        return Files.exists(model) ? model : null;
    }

    /**
     * Fetches what is missing of the revision.
     *
     * @throws ModelStoreException when that fails and cannot succeed by waiting
     * @throws IOException when the Hub cannot be reached or the cache not be written
     */
    Path fetch(HubId id, HubClient hub, HubDownload download) throws IOException {
        HubListing listing = HubListing.parse(id.repository(), hub.listing(id.repository(), id.revision()));
        List<HubFile> wanted = listing.wanted(id);
        Path snapshot = folder(id).resolve("snapshots").resolve(listing.commit());
        Path marker = marker(snapshot, id);
        Files.createDirectories(snapshot);
        try (StoreLock _ = StoreLock.acquire(folder(id).resolve("lock"))) {
            for (HubFile file : wanted) {
                Path target = snapshot.resolve(file.name());
                if (!isThere(file, target)) {
                    download.fetch(file, target);
                }
            }
            boolean single = wanted.getFirst().name().endsWith(".gguf");
            write(marker, single ? wanted.getFirst().name() : ".");
            write(reference(id), listing.commit());
        }
        Path model = model(marker);
        if (model == null) {
            throw new IOException("the files of " + id.repository() + " vanished from " + snapshot);
        }
        return model;
    }

    private static boolean isThere(HubFile file, Path target) throws IOException {
        if (file.sha256() != null && file.bytes() >= 0) {
            return StoredFile.isIntact(target, file.bytes(), file.sha256());
        }
        // Files are renamed into place whole, and a commit's content never changes.
        return Files.isRegularFile(target) && (file.bytes() < 0 || Files.size(target) == file.bytes());
    }

    private static void write(Path file, String text) throws IOException {
        Files.createDirectories(file.getParent());
        Path part = file.resolveSibling(file.getFileName() + ".part");
        Files.writeString(part, text + "\n");
        Files.move(part, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    }
}
