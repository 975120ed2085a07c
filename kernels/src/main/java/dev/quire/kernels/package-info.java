/**
 * The native boundary: memory and operations of one compute device.
 *
 * <p>A model allocates {@linkplain dev.quire.kernels.Buffer buffers}, loads {@linkplain dev.quire.kernels.Weight
 * weights}, and records its forward pass once as a list of {@linkplain dev.quire.kernels.Op operations}, which {@link
 * dev.quire.kernels.Backend#compile} checks and turns into a program. For each step it fills a {@link
 * dev.quire.kernels.Step} (which tokens, at which positions, which cache blocks, which samples) and calls {@link
 * dev.quire.kernels.Backend#submit}; {@link dev.quire.kernels.Backend#await} ends the step. So one downcall runs
 * hundreds of operations, and nothing is allocated per token.
 *
 * <p>{@link dev.quire.kernels.NativeBackend} binds any library that implements {@code quire.h}; {@link
 * dev.quire.kernels.JavaBackend} is the plain twin in Java: the oracle of the tests, and the last resort where no native
 * library loads. {@link dev.quire.kernels.Backends#open} chooses. Every number that reaches native code has been checked
 * in Java before: shapes and capacities at compile, ids and ranges at submit.
 *
 * <p>Threading: a backend and all that it made are used by one thread at a time, and the library brings its own compute
 * threads. Between submit and await the step, the program and the buffers must be left alone; attempts to close or
 * overwrite them are refused.
 */
@NullMarked
package dev.quire.kernels;

import org.jspecify.annotations.NullMarked;
