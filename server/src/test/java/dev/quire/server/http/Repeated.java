package dev.quire.server.http;

/** The same event so many times, at once. */
final class Repeated implements EventSource {
    private final byte[] event;
    private int left;

    Repeated(byte[] event, int times) {
        this.event = event;
        left = times;
    }

    @Override
    public boolean slow() {
        return false;
    }

    @Override
    public More next(SseEvents out) {
        if (left == 0) {
            return More.NEVER;
        }
        left--;
        out.add(event);
        return More.NOW;
    }

    @Override
    public void onNews(Runnable action) {}
}
