@NullMarked
package dev.quire.server;

import org.jspecify.annotations.NullMarked;
