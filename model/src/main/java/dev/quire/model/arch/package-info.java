@NullMarked
package dev.quire.model.arch;

import org.jspecify.annotations.NullMarked;
