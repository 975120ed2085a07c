@NullMarked
package dev.quire.model.store;

import org.jspecify.annotations.NullMarked;
