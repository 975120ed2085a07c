package dev.quire.model.store;

import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.URI;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The proxy that {@code HTTPS_PROXY}, {@code HTTP_PROXY} and {@code NO_PROXY} (either case) ask for, as other command-line
 * tools read them; Java alone knows only system properties, which serve when the variables are not set.
 */
final class EnvironmentProxy {
    private final Map<String, String> environment;

    EnvironmentProxy(Map<String, String> environment) {
        this.environment = environment;
    }

    /** @throws ModelStoreException when the variable's value is no address */
    Proxy proxyFor(URI target) {
        String variable = target.getScheme() + "_proxy";
        String address = variable(variable);
        if (address == null || isExcluded(target.getHost())) {
            return fromSystemProperties(target);
        }
        try {
            URI proxy = URI.create(address.contains("://") ? address : "http://" + address);
            if (proxy.getHost() != null) {
                int port = proxy.getPort() < 0 ? 80 : proxy.getPort();
                return new Proxy(Proxy.Type.HTTP, new InetSocketAddress(proxy.getHost(), port));
            }
        } catch (IllegalArgumentException e) {
            throw notAnAddress(variable, address, e);
        }
        throw notAnAddress(variable, address, null);
    }

    private static ModelStoreException notAnAddress(String variable, String address, @Nullable Throwable cause) {
        return new ModelStoreException(
                variable.toUpperCase(Locale.ROOT) + " is '" + address + "', which is not of the form http://host:port",
                cause);
    }

    private static Proxy fromSystemProperties(URI target) {
        ProxySelector selector = ProxySelector.getDefault();
        List<Proxy> proxies = selector == null ? List.of() : selector.select(target);
        return proxies.isEmpty() ? Proxy.NO_PROXY : proxies.getFirst();
    }

    private @Nullable String variable(String lowerCase) {
        String value = environment.getOrDefault(lowerCase, environment.get(lowerCase.toUpperCase(Locale.ROOT)));
        return value == null || value.isBlank() ? null : value.strip();
    }

    private boolean isExcluded(String host) {
        String list = variable("no_proxy");
        if (list == null) {
            return false;
        }
        for (String entry : list.split(",", -1)) {
            String suffix = entry.strip();
            suffix = suffix.startsWith(".") ? suffix.substring(1) : suffix;
            if (suffix.equals("*") || host.equals(suffix) || (!suffix.isEmpty() && host.endsWith("." + suffix))) {
                return true;
            }
        }
        return false;
    }
}
