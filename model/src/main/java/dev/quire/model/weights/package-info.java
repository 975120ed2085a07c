@NullMarked
package dev.quire.model.weights;

import org.jspecify.annotations.NullMarked;
