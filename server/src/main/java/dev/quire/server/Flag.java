package dev.quire.server;

/**
 * A flag of a command line.
 *
 * @param name with its two dashes
 * @param takes what the usage calls its value; empty for a switch
 * @param fallback the value when the flag is not given; a switch that is on by default has {@code true} and can be turned
 *     off with {@code --no-name}
 * @param meaning for the usage; {@code %s} stands for the fallback
 */
record Flag(String name, Kind kind, String takes, String fallback, String meaning) {
    /** What follows the name. */
    enum Kind {
        ONE,
        MANY,
        NOTHING
    }

    static Flag one(String name, String takes, String fallback, String meaning) {
        return new Flag(name, Kind.ONE, takes, fallback, meaning);
    }

    static Flag many(String name, String takes, String meaning) {
        return new Flag(name, Kind.MANY, takes, "", meaning);
    }

    /** A switch that is off unless it is given. */
    static Flag off(String name, String meaning) {
        return new Flag(name, Kind.NOTHING, "", "false", meaning);
    }

    /** A switch that is on unless it is turned off. */
    static Flag on(String name, String meaning) {
        return new Flag(name, Kind.NOTHING, "", "true", meaning);
    }

    boolean canBeTurnedOff() {
        return kind == Kind.NOTHING && fallback.equals("true");
    }

    /** The name as {@code --no-name}. */
    String off() {
        return "--no-" + name.substring(2);
    }

    /** How the usage writes it. */
    String written() {
        return switch (kind) {
            case ONE -> name + "=" + takes;
            case MANY -> name + "=" + takes + "...";
            case NOTHING -> canBeTurnedOff() ? "--[no-]" + name.substring(2) : name;
        };
    }

    /** What it means, with its default. */
    String explained() {
        return meaning.replace("%s", fallback);
    }
}
