package dev.quire.scheduler;

import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/** Commands on their way to the engine thread, and its place to sleep. */
final class Mailbox {
    private final ConcurrentLinkedQueue<Command> commands = new ConcurrentLinkedQueue<>();
    private volatile @Nullable Thread sleeper;
    private volatile boolean woken;

    /** Any thread; never blocks. */
    void send(Command command) {
        commands.add(command);
        wake();
    }

    /** Takes back a command that the engine has not seen; false when it has. */
    boolean retract(Command command) {
        return commands.remove(command);
    }

    /** Makes the engine look around. Any thread. */
    void wake() {
        woken = true;
        Thread thread = sleeper;
        if (thread != null) {
            LockSupport.unpark(thread);
        }
    }

    /** The next command, or null. Engine thread. */
    @Nullable
    Command poll() {
        return commands.poll();
    }

    /** Sleeps until woken, at most so long. Engine thread. */
    void sleep(long nanos) {
        sleeper = Thread.currentThread();
        if (!woken && commands.isEmpty()) {
            LockSupport.parkNanos(this, nanos);
        }
        sleeper = null;
        woken = false;
    }
}
