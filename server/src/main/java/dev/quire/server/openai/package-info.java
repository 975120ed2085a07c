@NullMarked
package dev.quire.server.openai;

import org.jspecify.annotations.NullMarked;
