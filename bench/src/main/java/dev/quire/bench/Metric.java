package dev.quire.bench;

import java.util.Locale;

/**
 * The figures of a run. Times are milliseconds. TTFT is from sending a request to its first chunk; ITL is the gap
 * between two chunks, of which one may carry several tokens; TPOT is the mean time per token of a request after its first
 * chunk, (E2E − TTFT) / (tokens − 1); E2E is to the last chunk.
 */
enum Metric {
    OUTPUT_RATE("output_tok_s", "output tok/s", true),
    TOTAL_RATE("total_tok_s", "in+out tok/s", true),
    REQUEST_RATE("requests_s", "requests /s", true),
    TTFT_P50("ttft_p50_ms", "TTFT p50", false),
    TTFT_P95("ttft_p95_ms", "TTFT p95", false),
    TTFT_P99("ttft_p99_ms", "TTFT p99", false),
    ITL_P50("itl_p50_ms", "ITL p50", false),
    ITL_P95("itl_p95_ms", "ITL p95", false),
    ITL_P99("itl_p99_ms", "ITL p99", false),
    TPOT_P50("tpot_p50_ms", "TPOT p50", false),
    TPOT_P95("tpot_p95_ms", "TPOT p95", false),
    TPOT_P99("tpot_p99_ms", "TPOT p99", false),
    E2E_P50("e2e_p50_ms", "E2E p50", false),
    E2E_P95("e2e_p95_ms", "E2E p95", false),
    E2E_P99("e2e_p99_ms", "E2E p99", false),
    GOODPUT_SHARE("goodput_share", "goodput share", true),
    GOODPUT_RATE("goodput_requests_s", "goodput /s", true),
    PEAK_MEMORY("peak_rss_mib", "peak RSS MiB", false);

    private final String key;
    private final String title;
    private final boolean moreIsBetter;

    Metric(String key, String title, boolean moreIsBetter) {
        this.key = key;
        this.title = title;
        this.moreIsBetter = moreIsBetter;
    }

    /** The name in JSON, with the unit. */
    String key() {
        return key;
    }

    /** The name for people. */
    String title() {
        return title;
    }

    boolean moreIsBetter() {
        return moreIsBetter;
    }

    /** Three digits or so. */
    static String number(double value) {
        double size = Math.abs(value);
        return String.format(Locale.ROOT, size >= 100 ? "%.0f" : size >= 10 ? "%.1f" : "%.2f", value);
    }
}
