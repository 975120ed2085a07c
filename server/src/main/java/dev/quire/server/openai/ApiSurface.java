package dev.quire.server.openai;

/**
 * What the endpoints share.
 *
 * @param slot the model, when it is there
 * @param live what generates now
 * @param errors how errors are written
 * @param fingerprint of the server's build, for {@code system_fingerprint}
 */
public record ApiSurface(ModelSlot slot, LiveRequests live, ErrorStyle errors, String fingerprint) {}
