package dev.quire.bench;

import java.util.Arrays;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The runs of one workload at one level: the median of each figure, and its spread, which is the distance of the largest
 * from the smallest as a share of the median.
 */
record Summary(String workload, Level level, Map<Metric, Double> median, Map<Metric, Double> spread, int failures) {
    static Summary of(String workload, Level level, List<Figures> runs) {
        Map<Metric, Double> median = new EnumMap<>(Metric.class);
        Map<Metric, Double> spread = new EnumMap<>(Metric.class);
        for (Metric metric : Metric.values()) {
            double[] values = runs.stream()
                    .map(Figures::values)
                    .filter(map -> map.containsKey(metric))
                    .mapToDouble(map -> map.getOrDefault(metric, 0.0))
                    .sorted()
                    .toArray();
            if (values.length > 0) {
                double middle = median(values);
                median.put(metric, middle);
                spread.put(metric, middle == 0 ? 0 : (values[values.length - 1] - values[0]) / middle);
            }
        }
        return new Summary(
                workload,
                level,
                median,
                spread,
                runs.stream().mapToInt(Figures::failures).sum());
    }

    static double median(double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        int half = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
    }

    double median(Metric metric) {
        return median.getOrDefault(metric, 0.0);
    }

    double spread(Metric metric) {
        return spread.getOrDefault(metric, 0.0);
    }

    /** What is compared: the same workload at the same level. */
    String title() {
        return workload + ", " + level;
    }

    /** By name, for JSON, with what each run measured. */
    Map<String, Object> json(List<Figures> runs) {
        Map<String, Object> map = new LinkedHashMap<>();
        map.put("workload", workload);
        map.put("kind", level.kind().key());
        map.put("level", level.value());
        map.put("failures", failures);
        map.put("median", byKey(median));
        map.put("spread", byKey(spread));
        map.put("runs", runs.stream().map(Figures::json).toList());
        return map;
    }

    private static Map<String, Double> byKey(Map<Metric, Double> values) {
        Map<String, Double> map = new LinkedHashMap<>();
        values.forEach((metric, value) -> map.put(metric.key(), value));
        return map;
    }
}
