package dev.quire.server.http;

import org.jspecify.annotations.Nullable;

/**
 * A request that waits for its turn on its connection.
 *
 * @param head null when the headers could not be read
 * @param body empty when refused
 * @param bodyCharge bytes taken of the {@link BodyBudget}
 * @param decision where it goes, or its refusal
 * @param last whether the connection closes after the answer, whatever the client wants
 */
record Request(@Nullable RequestHead head, byte[] body, long bodyCharge, Router.Decision decision, boolean last) {}
