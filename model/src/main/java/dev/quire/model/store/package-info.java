/** From the name of a model to files on this disk: the default model, paths, and repositories of a Hub. */
@NullMarked
package dev.quire.model.store;

import org.jspecify.annotations.NullMarked;
