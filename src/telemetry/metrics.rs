//! The metrics: one list, from which Prometheus and OpenTelemetry are told the same.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::counters::{BOUNDS, Distribution};

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only grows.
    Counter,
    /// It is what it is now.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

/// A metric and its values.
#[derive(Clone, Debug)]
pub(super) struct Family {
    /// Its name in OpenTelemetry.
    pub(super) name: &'static str,
    /// Its unit, as UCUM has it.
    pub(super) unit: &'static str,
    /// What it means.
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) points: Vec<Point>,
}

/// Labels of a value.
pub(super) type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// A value with its labels.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) labels: Labels,
    pub(super) value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Count(u64),
    Number(f64),
    Durations(Distribution),
}

impl Family {
    pub(super) fn new(
        kind: Kind,
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        points: Vec<Point>,
    ) -> Self {
        Self { name, unit, help, kind, points }
    }

    /// Its name for Prometheus, as OpenTelemetry's rules make it.
    ///
    /// Source: OpenTelemetry specification, "Prometheus and OpenMetrics Compatibility".
    fn prometheus_name(&self) -> String {
        let mut name = self.name.replace('.', "_");
        match self.unit {
            "s" => name.push_str("_seconds"),
            "By" => name.push_str("_bytes"),
            _ => {}
        }
        if self.kind == Kind::Counter {
            name.push_str("_total");
        }
        name
    }
}

impl Point {
    pub(super) fn count(labels: Labels, value: u64) -> Self {
        Self { labels, value: Value::Count(value) }
    }

    pub(super) fn number(labels: Labels, value: f64) -> Self {
        Self { labels, value: Value::Number(value) }
    }
}

/// The metrics in Prometheus's text format, version 0.0.4.
///
/// Source: Prometheus documentation, "Exposition formats".
pub(super) fn prometheus(families: &[Family]) -> String {
    let mut text = String::with_capacity(16 * 1024);
    for family in families.iter().filter(|family| !family.points.is_empty()) {
        let name = family.prometheus_name();
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Writing to a text does not fail.
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", family.help);
        for point in &family.points {
            sample(&mut text, &name, point);
        }
    }
    text
}

fn sample(text: &mut String, name: &str, point: &Point) {
    // Writing to a text does not fail.
    let _ = match &point.value {
        Value::Count(value) => writeln!(text, "{name}{} {value}", braces(&point.labels, None)),
        Value::Number(value) => writeln!(text, "{name}{} {value}", braces(&point.labels, None)),
        Value::Durations(durations) => histogram(text, name, &point.labels, durations),
    };
}

fn histogram(
    text: &mut String,
    name: &str,
    labels: &Labels,
    durations: &Distribution,
) -> std::fmt::Result {
    let mut sum = 0;
    let bounds = BOUNDS.iter().map(|bound| format!("{bound}")).chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(&durations.buckets) {
        sum += count;
        writeln!(text, "{name}_bucket{} {sum}", braces(labels, Some(&bound)))?;
    }
    writeln!(text, "{name}_sum{} {}", braces(labels, None), durations.sum)?;
    writeln!(text, "{name}_count{} {sum}", braces(labels, None))
}

fn braces(labels: &Labels, bound: Option<&str>) -> String {
    let pairs = labels.iter().map(|(name, value)| (name.replace('.', "_"), &**value));
    let pairs = pairs.chain(bound.map(|bound| ("le".to_owned(), bound)));
    let escaped =
        |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let texts: Vec<String> =
        pairs.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    if texts.is_empty() { String::new() } else { format!("{{{}}}", texts.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::super::counters::{BOUNDS, Distribution};
    use super::{Family, Kind, Point, Value, prometheus};

    #[test]
    fn names_have_their_units_and_labels_are_escaped() {
        let mut buckets = vec![0; BOUNDS.len() + 1];
        buckets[1] = 2;
        buckets[BOUNDS.len()] = 1;
        let durations = Value::Durations(Distribution { buckets, sum: 7.5 });
        let families = [
            Family::new(
                Kind::Counter,
                "a.b",
                "{decision}",
                "Help.",
                vec![Point::count(vec![("x.y", "q\"\\\n".into())], 3)],
            ),
            Family::new(
                Kind::Histogram,
                "d.duration",
                "s",
                "Help.",
                vec![Point { labels: Vec::new(), value: durations }],
            ),
            Family::new(Kind::Gauge, "empty", "1", "Help.", Vec::new()),
        ];
        let text = prometheus(&families);
        assert!(
            text.contains("# TYPE a_b_total counter\na_b_total{x_y=\"q\\\"\\\\\\n\"} 3\n"),
            "{text}"
        );
        assert!(text.contains("d_duration_seconds_bucket{le=\"0.0000025\"} 2\n"), "{text}");
        assert!(text.contains("d_duration_seconds_bucket{le=\"+Inf\"} 3\n"), "{text}");
        assert!(
            text.contains("d_duration_seconds_sum 7.5\nd_duration_seconds_count 3\n"),
            "{text}"
        );
        assert!(!text.contains("empty"));
    }
}
