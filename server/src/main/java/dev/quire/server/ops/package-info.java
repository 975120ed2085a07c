@NullMarked
package dev.quire.server.ops;

import org.jspecify.annotations.NullMarked;
