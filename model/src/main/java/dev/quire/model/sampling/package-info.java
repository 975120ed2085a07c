@NullMarked
package dev.quire.model.sampling;

import org.jspecify.annotations.NullMarked;
