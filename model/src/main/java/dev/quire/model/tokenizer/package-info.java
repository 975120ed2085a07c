@NullMarked
package dev.quire.model.tokenizer;

import org.jspecify.annotations.NullMarked;
