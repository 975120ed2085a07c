package dev.quire.model.store;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.ObjectMapper;

/**
 * What a Hub says of a repository at one commit.
 *
 * @param commit 40 hexadecimal digits
 * @param files those at the root; sub-folders hold other formats of the same model
 */
record HubListing(String commit, List<HubFile> files) {
    private static final Set<String> TEXT_FILES = Set.of(
            "config.json",
            "generation_config.json",
            "chat_template.jinja",
            "vocab.json",
            "merges.txt",
            "special_tokens_map.json",
            "added_tokens.json");
    // The names become names on this disk: no separators, no leading dot.
    private static final Pattern FILE_NAME = Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._-]{0,199}");
    private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");

    /** @throws ModelStoreException when the answer is not a repository's description */
    static HubListing parse(String repository, byte[] json) {
        try {
            JsonNode root = new ObjectMapper().readTree(json);
            String commit = root.path("sha").asString("");
            if (!HubId.isCommit(commit)) {
                throw new ModelStoreException("the Hub names no commit of " + repository
                        + "; HF_ENDPOINT may point to something that is not a Hub");
            }
            List<HubFile> files = new ArrayList<>();
            for (JsonNode sibling : root.path("siblings")) {
                String name = sibling.path("rfilename").asString("");
                if (FILE_NAME.matcher(name).matches()) {
                    JsonNode lfs = sibling.path("lfs");
                    files.add(new HubFile(
                            repository,
                            commit,
                            name,
                            lfs.path("size").asLong(sibling.path("size").asLong(-1)),
                            digest(lfs.path("sha256").asString(""))));
                }
            }
            return new HubListing(commit, List.copyOf(files));
        } catch (JacksonException e) {
            throw new ModelStoreException(
                    "the Hub's description of " + repository + " is not JSON; HF_ENDPOINT may point to something that"
                            + " is not a Hub",
                    e);
        }
    }

    private static @Nullable String digest(String text) {
        return SHA256.matcher(text).matches() ? text : null;
    }

    /**
     * The files that make the model: one GGUF file, or configuration, tokenizer and safetensors.
     *
     * @throws ModelStoreException when the repository has no model, or several and none was named
     */
    List<HubFile> wanted(HubId id) {
        List<HubFile> ggufs = endingWith(".gguf");
        if (id.file() != null) {
            return List.of(ggufs.stream()
                    .filter(file -> file.name().equals(id.file()))
                    .findFirst()
                    .orElseThrow(() -> new ModelStoreException(
                            id.repository() + " has no file " + id.file() + "; it has " + names(ggufs))));
        }
        List<HubFile> weights = safetensors();
        if (!weights.isEmpty()) {
            List<HubFile> all =
                    new ArrayList<>(files.stream().filter(HubListing::isText).toList());
            all.addAll(weights);
            return all;
        }
        return switch (ggufs.size()) {
            case 0 ->
                throw new ModelStoreException(
                        id.repository()
                                + " has neither .safetensors nor .gguf files at its root, which are the formats that can be read");
            case 1 -> ggufs;
            default ->
                throw new ModelStoreException(id.repository() + " has several .gguf files; name one, as in "
                        + id.repository() + ":" + ggufs.getFirst().name() + ". It has " + names(ggufs));
        };
    }

    /** Some repositories hold the weights twice, under the names of two programs; one set is enough. */
    private List<HubFile> safetensors() {
        List<HubFile> all = endingWith(".safetensors");
        List<HubFile> usual =
                all.stream().filter(file -> file.name().startsWith("model")).toList();
        return usual.isEmpty() ? all : usual;
    }

    private static boolean isText(HubFile file) {
        return TEXT_FILES.contains(file.name())
                || (file.name().startsWith("tokenizer") && file.name().endsWith(".json"))
                || file.name().endsWith(".safetensors.index.json");
    }

    private List<HubFile> endingWith(String suffix) {
        return files.stream().filter(file -> file.name().endsWith(suffix)).toList();
    }

    private static String names(List<HubFile> files) {
        return files.isEmpty() ? "none" : files.stream().map(HubFile::name).collect(Collectors.joining(", "));
    }
}
