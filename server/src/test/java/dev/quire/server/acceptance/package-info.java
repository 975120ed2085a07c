/**
 * The promises of the whole server, tested on the real default model through HTTP: same output whatever the company,
 * iteration-level scheduling, nothing leaks.
 */
@NullMarked
package dev.quire.server.acceptance;

import org.jspecify.annotations.NullMarked;
