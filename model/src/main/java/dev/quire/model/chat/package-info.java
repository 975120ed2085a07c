@NullMarked
package dev.quire.model.chat;

import org.jspecify.annotations.NullMarked;
