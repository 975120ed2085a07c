@NullMarked
package dev.quire.bench;

import org.jspecify.annotations.NullMarked;
