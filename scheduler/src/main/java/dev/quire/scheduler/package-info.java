@NullMarked
package dev.quire.scheduler;

import org.jspecify.annotations.NullMarked;
