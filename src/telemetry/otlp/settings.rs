//! Where signals are exported to: the standard `OTEL_…` variables.
//!
//! Source: OpenTelemetry specification, "Environment Variable Specification" and "OpenTelemetry
//! Protocol Exporter".

use std::time::Duration;

use super::super::trace::{Root, Sampler};

/// What is exported, and how.
#[derive(Clone, Debug, Default)]
pub struct OtlpSettings {
    /// Where spans go.
    pub traces: Option<Target>,
    /// Where metrics go.
    pub metrics: Option<Target>,
    /// Where decision records go, when they are told to.
    pub logs: Option<Target>,
    /// Who speaks: attributes of the resource.
    pub resource: Vec<(String, String)>,
    /// Which calls have a span.
    pub sampler: Sampler,
    /// Whether the caller's `traceparent` is continued.
    pub propagate: bool,
    /// How spans are gathered.
    pub spans: Batching,
    /// How records are gathered.
    pub records: Batching,
    /// Between two exports of metrics.
    pub interval: Duration,
}

/// A collector, for one signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its URL.
    pub endpoint: String,
    /// Headers to send along, names in lower case.
    pub headers: Vec<(String, String)>,
    /// How long an export may take.
    pub timeout: Duration,
    /// Whether requests are compressed.
    pub gzip: bool,
    /// File with the certificates to trust, in place of the system's.
    pub certificate: Option<String>,
    /// Files with the certificate and the key to show.
    pub identity: Option<(String, String)>,
}

/// How things are gathered to be exported together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// The most that wait.
    pub queue: usize,
    /// The most in one export.
    pub batch: usize,
    /// How long one waits for others.
    pub delay: Duration,
}

impl Default for Batching {
    /// The queue is longer than the standard's 2,048, which a collector that pauses for a tenth of
    /// a second makes overflow.
    fn default() -> Self {
        Self { queue: 65_536, batch: 512, delay: Duration::from_secs(1) }
    }
}

/// A variable cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: `{value}`: expected {expected}")]
pub struct InvalidVariable {
    /// The variable.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What would be right.
    pub expected: &'static str,
}

/// Reads variables.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// An empty variable counts as not set.
    fn text(&self, name: &str) -> Option<String> {
        (self.0)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    /// Of the signal, else of all.
    fn of(&self, signal: &str, what: &str) -> Option<(String, String)> {
        let own = format!("OTEL_EXPORTER_OTLP_{signal}_{what}");
        let all = format!("OTEL_EXPORTER_OTLP_{what}");
        let read = |name: String| self.text(&name).map(|value| (name, value));
        read(own).or_else(|| read(all))
    }

    fn number(&self, name: &str, default: u64) -> Result<u64, InvalidVariable> {
        let Some(value) = self.text(name) else { return Ok(default) };
        value.parse().map_err(|_| invalid(name, &value, "a whole number"))
    }

    fn truth(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    fn batching(&self, prefix: &str) -> Result<Batching, InvalidVariable> {
        let default = Batching::default();
        let number = |what: &str, default: usize| {
            let value = self.number(&format!("OTEL_{prefix}_{what}"), default as u64)?;
            Ok(usize::try_from(value).unwrap_or(usize::MAX).clamp(1, 1 << 20))
        };
        let delay = self.number(&format!("OTEL_{prefix}_SCHEDULE_DELAY"), 1000)?;
        Ok(Batching {
            queue: number("MAX_QUEUE_SIZE", default.queue)?,
            batch: number("MAX_EXPORT_BATCH_SIZE", default.batch)?,
            delay: Duration::from_millis(delay),
        })
    }
}

fn invalid(name: &str, value: &str, expected: &'static str) -> InvalidVariable {
    InvalidVariable { name: name.to_owned(), value: value.to_owned(), expected }
}

impl OtlpSettings {
    /// From the variables that `read` gives; `endpoint` stands for
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` where that is not set, and `ratio` for the sampler's.
    ///
    /// # Errors
    ///
    /// A variable cannot be used.
    pub fn read(
        read: &dyn Fn(&str) -> Option<String>,
        endpoint: Option<&str>,
        ratio: f64,
    ) -> Result<Self, InvalidVariable> {
        let variables = Variables(read);
        let off = variables.truth("OTEL_SDK_DISABLED");
        let signal = |name: &str| if off { Ok(None) } else { target(&variables, name, endpoint) };
        let propagators = variables.text("OTEL_PROPAGATORS");
        Ok(Self {
            traces: signal("TRACES")?,
            metrics: signal("METRICS")?,
            logs: signal("LOGS")?,
            resource: resource(&variables),
            sampler: sampler(&variables, ratio)?,
            propagate: propagators
                .is_none_or(|list| list.split(',').any(|name| name.trim() == "tracecontext")),
            spans: variables.batching("BSP")?,
            records: variables.batching("BLRP")?,
            interval: Duration::from_millis(
                variables.number("OTEL_METRIC_EXPORT_INTERVAL", 60_000)?.max(1),
            ),
        })
    }
}

fn target(
    variables: &Variables<'_>,
    signal: &str,
    endpoint: Option<&str>,
) -> Result<Option<Target>, InvalidVariable> {
    let exporter = format!("OTEL_{signal}_EXPORTER");
    match variables.text(&exporter).as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => return Err(invalid(&exporter, other, "`otlp` or `none`")),
    }
    if let Some((name, value)) = variables.of(signal, "PROTOCOL")
        && value != "grpc"
    {
        return Err(invalid(&name, &value, "`grpc`, the one protocol that is spoken"));
    }
    let told = variables.of(signal, "ENDPOINT");
    let ours = endpoint.map(|url| ("telemetry.otlp_endpoint".to_owned(), url.to_owned()));
    let Some((name, endpoint)) = told.or(ours) else { return Ok(None) };
    let insecure = variables.of(signal, "INSECURE").is_some_and(|(_, value)| value == "true");
    let endpoint = match endpoint.split_once("://") {
        Some(("http" | "https", rest)) if !rest.is_empty() => endpoint,
        None if insecure => format!("http://{endpoint}"),
        None => format!("https://{endpoint}"),
        Some(_) => return Err(invalid(&name, &endpoint, "a URL such as `http://127.0.0.1:4317`")),
    };
    let mut headers = Vec::new();
    if let Some((name, list)) = variables.of(signal, "HEADERS") {
        for pair in list.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| invalid(&name, "…", "pairs `name=value`, with commas between"))?;
            headers.push((key.trim().to_ascii_lowercase(), decoded(value.trim())));
        }
    }
    let timeout = match variables.of(signal, "TIMEOUT") {
        Some((name, _)) => variables.number(&name, 10_000)?,
        None => 10_000,
    };
    let gzip = match variables.of(signal, "COMPRESSION") {
        None => false,
        Some((_, value)) if value == "none" => false,
        Some((_, value)) if value == "gzip" => true,
        Some((name, value)) => return Err(invalid(&name, &value, "`gzip` or `none`")),
    };
    let file = |what: &str| variables.of(signal, what).map(|(_, path)| path);
    Ok(Some(Target {
        endpoint,
        headers,
        timeout: Duration::from_millis(timeout.max(1)),
        gzip,
        certificate: file("CERTIFICATE"),
        identity: file("CLIENT_CERTIFICATE").zip(file("CLIENT_KEY")),
    }))
}

fn sampler(variables: &Variables<'_>, ratio: f64) -> Result<Sampler, InvalidVariable> {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    let told = variables.text("OTEL_TRACES_SAMPLER_ARG");
    let ratio = || match &told {
        None => Ok(ratio),
        Some(text) => text
            .parse()
            .ok()
            .filter(|ratio| (0.0..=1.0).contains(ratio))
            .ok_or_else(|| invalid("OTEL_TRACES_SAMPLER_ARG", text, "a number from 0 to 1")),
    };
    let Some(name) = variables.text(NAME) else {
        return Ok(Sampler { follows_parent: true, root: Root::Ratio(ratio()?) });
    };
    let (follows_parent, root) = match name.strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, &*name),
    };
    let root = match root {
        "always_on" => Root::All,
        "always_off" => Root::None,
        "traceidratio" => Root::Ratio(ratio()?),
        _ => {
            return Err(invalid(NAME, &name, "`parentbased_traceidratio` or another standard one"));
        }
    };
    Ok(Sampler { follows_parent, root })
}

/// Who speaks. What is told comes first.
fn resource(variables: &Variables<'_>) -> Vec<(String, String)> {
    let mut attributes = Vec::new();
    if let Some(name) = variables.text("OTEL_SERVICE_NAME") {
        attributes.push(("service.name".to_owned(), name));
    }
    let list = variables.text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let told = list.split(',').filter_map(|pair| pair.split_once('='));
    let told = told.map(|(name, value)| (name.trim().to_owned(), decoded(value.trim())));
    let own = [
        ("service.name", "keyward".to_owned()),
        ("service.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("service.instance.id", uuid::Uuid::now_v7().to_string()),
        ("telemetry.sdk.name", "opentelemetry".to_owned()),
        ("telemetry.sdk.language", "rust".to_owned()),
    ];
    for (name, value) in told.chain(own.map(|(name, value)| (name.to_owned(), value))) {
        if !attributes.iter().any(|(known, _)| *known == name) {
            attributes.push((name, value));
        }
    }
    attributes
}

/// `%20` becomes a blank, and so on; what is no such sequence stays.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let digits = (*first == b'%').then(|| more.get(..2)).flatten();
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{OtlpSettings, Root};

    fn read(pairs: &[(&str, &str)]) -> Result<OtlpSettings, String> {
        let find = |name: &str| {
            let pair = pairs.iter().find(|(known, _)| *known == name);
            pair.map(|(_, value)| (*value).to_owned())
        };
        OtlpSettings::read(&find, None, 0.01).map_err(|error| error.to_string())
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4317");

    #[test]
    fn nothing_is_exported_without_an_endpoint_and_each_signal_can_have_its_own() {
        let none = read(&[]).unwrap();
        assert!(none.traces.is_none() && none.metrics.is_none() && none.logs.is_none());
        let all = read(&[ENDPOINT]).unwrap();
        assert!(all.traces.is_some() && all.metrics.is_some() && all.logs.is_some());
        let own = read(&[
            ENDPOINT,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://t:4317"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "Api-Key=a%20b, x=y"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "250"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ])
        .unwrap();
        let traces = own.traces.unwrap();
        assert_eq!(traces.endpoint, "https://t:4317");
        assert_eq!(traces.timeout, Duration::from_millis(250));
        assert_eq!(traces.headers[0], ("api-key".to_owned(), "a b".to_owned()));
        assert!(traces.gzip && own.metrics.is_none());
        assert_eq!(own.logs.unwrap().timeout, Duration::from_secs(10));
        let off = read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]).unwrap();
        assert!(off.traces.is_none() && off.logs.is_none());
    }

    #[test]
    fn samplers_and_resources_are_the_standards() {
        let default = read(&[]).unwrap();
        assert!(default.sampler.follows_parent && default.propagate);
        assert_eq!(default.sampler.root, Root::Ratio(0.01));
        let told = read(&[
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.5"),
            ("OTEL_PROPAGATORS", "none"),
            ("OTEL_SERVICE_NAME", "pdp"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,deployment.environment.name=a%2Cb"),
        ])
        .unwrap();
        assert!(!told.sampler.follows_parent && !told.propagate);
        assert_eq!(told.sampler.root, Root::Ratio(0.5));
        assert_eq!(told.resource[0], ("service.name".to_owned(), "pdp".to_owned()));
        assert_eq!(told.resource[1].1, "a,b");
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_name() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://c"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
        ] {
            let mut pairs = vec![(name, value)];
            if name != ENDPOINT.0 {
                pairs.push(ENDPOINT);
            }
            assert!(read(&pairs).unwrap_err().starts_with(name), "{name}");
        }
    }
}
