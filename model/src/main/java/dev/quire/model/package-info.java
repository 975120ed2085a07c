@NullMarked
package dev.quire.model;

import org.jspecify.annotations.NullMarked;
