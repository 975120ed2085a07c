package dev.quire.server;

import dev.quire.model.LoadOptions;
import dev.quire.model.LoadedModel;
import dev.quire.model.Progress;
import java.nio.file.Path;

/** Makes a model of its files: {@link dev.quire.model.ModelLoader#load} in a server that serves. */
@FunctionalInterface
public interface ModelSource {
    /** Loads the model; the caller closes it. */
    LoadedModel load(Path files, LoadOptions options, Progress progress);
}
