package dev.quire.server;

import java.lang.reflect.Proxy;

/**
 * Handlers for SIGTERM and SIGINT. A shutdown hook cannot do this: it cannot choose the exit code, nor see a second
 * signal. The JDK's class for it is exported, yet the compiler warns of each mention, so it is reached by reflection.
 */
final class Signals {
    private Signals() {}

    /** Calls {@code action} on a thread of the JVM's at each SIGTERM or SIGINT; false where that cannot be had. */
    static boolean onStop(Runnable action) {
        try {
            Class<?> signal = Class.forName("sun.misc.Signal");
            Class<?> handler = Class.forName("sun.misc.SignalHandler");
            Object proxy = Proxy.newProxyInstance(
                    Signals.class.getClassLoader(), new Class<?>[] {handler}, (self, method, arguments) -> {
                        if (!method.getName().equals("handle")) {
                            return method.getName().equals("equals") ? Boolean.valueOf(self == arguments[0]) : 0;
                        }
                        action.run();
                        return null;
                    });
            for (String name : new String[] {"TERM", "INT"}) {
                signal.getMethod("handle", signal, handler)
                        .invoke(null, signal.getConstructor(String.class).newInstance(name), proxy);
            }
            return true;
        } catch (ReflectiveOperationException e) {
            return false; // a JVM without them, or one started with -Xrs: SIGTERM then ends the process at once
        }
    }
}
