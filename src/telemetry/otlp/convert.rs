//! From our values to OTLP's messages.

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum,
    metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::super::counters::BOUNDS;
use super::super::metrics::{Family, Kind, Labels, Point, Value};

pub(super) fn text(value: impl Into<String>) -> AnyValue {
    AnyValue { value: Some(any_value::Value::StringValue(value.into())) }
}

pub(super) fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// Who speaks.
pub(super) fn resource(attributes: &[(String, String)]) -> Resource {
    Resource {
        attributes: attributes.iter().map(|(name, value)| pair(name, text(&**value))).collect(),
        ..Resource::default()
    }
}

/// What of it speaks.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "keyward".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// A metric; its values grew since `start`.
pub(super) fn metric(family: &Family, start: u64, now: u64) -> Metric {
    let cumulative = i32::from(AggregationTemporality::Cumulative);
    let points = &family.points;
    let numbers = || points.iter().map(|point| number(point, start, now)).collect();
    let data = match family.kind {
        Kind::Counter => metric::Data::Sum(Sum {
            data_points: numbers(),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        Kind::Gauge => metric::Data::Gauge(Gauge { data_points: numbers() }),
        Kind::Histogram => metric::Data::Histogram(Histogram {
            data_points: points.iter().map(|point| histogram(point, start, now)).collect(),
            aggregation_temporality: cumulative,
        }),
    };
    Metric {
        name: family.name.to_owned(),
        description: family.help.to_owned(),
        unit: family.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| pair(name, text(value.as_ref()))).collect()
}

fn number(point: &Point, start: u64, now: u64) -> NumberDataPoint {
    let value = match &point.value {
        Value::Count(count) => {
            number_data_point::Value::AsInt(i64::try_from(*count).unwrap_or(i64::MAX))
        }
        Value::Number(number) => number_data_point::Value::AsDouble(*number),
        Value::Durations(durations) => number_data_point::Value::AsDouble(durations.sum),
    };
    NumberDataPoint {
        attributes: attributes(&point.labels),
        start_time_unix_nano: start,
        time_unix_nano: now,
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn histogram(point: &Point, start: u64, now: u64) -> HistogramDataPoint {
    let Value::Durations(durations) = &point.value else { return HistogramDataPoint::default() };
    HistogramDataPoint {
        attributes: attributes(&point.labels),
        start_time_unix_nano: start,
        time_unix_nano: now,
        count: durations.count(),
        sum: Some(durations.sum),
        bucket_counts: durations.buckets.clone(),
        explicit_bounds: BOUNDS.to_vec(),
        ..HistogramDataPoint::default()
    }
}
