package dev.quire.model.store;

import org.jspecify.annotations.Nullable;

/**
 * One file of a Hub repository.
 *
 * @param repository {@code org/name}
 * @param revision commit, branch or tag
 * @param name file name at the repository's root
 * @param bytes size, or -1 when the Hub did not say
 * @param sha256 lower-case hexadecimal digest, or null when the Hub did not say
 */
record HubFile(
        String repository,
        String revision,
        String name,
        long bytes,
        @Nullable String sha256) {}
