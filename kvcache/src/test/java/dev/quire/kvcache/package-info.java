@NullMarked
package dev.quire.kvcache;

import org.jspecify.annotations.NullMarked;
