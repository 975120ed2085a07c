package dev.quire.model;

/**
 * What a step produced. Samples are numbered through the batch: for each row in order, first its scored positions, then
 * its draws, those of guessed tokens in order of position. Valid from the wait for the batch until the next launch; read
 * by the engine thread.
 */
public interface StepOutput {
    /** Nanoseconds in which the device was at work. */
    long deviceNanos();

    /** The token drawn, or -1 when the row's logits were not finite. */
    int token(int sample);

    /** Raw log-probability of the token, nats. */
    float logprob(int sample);

    /** Id of the i-th best alternative, best first; only where alternatives were asked for. */
    int topToken(int sample, int i);

    /** Raw log-probability of the i-th best alternative. */
    float topLogprob(int sample, int i);
}
