@NullMarked
package dev.quire.server.http;

import org.jspecify.annotations.NullMarked;
