//! The configuration of the OpenTelemetry Collector in `deploy/`, checked and run by the collector.

use std::collections::HashSet;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::collector::{Collector, attribute};
use crate::decision_log::{ask, decisions, question};
use crate::doors::{text, tool};
use crate::served::Served;

const CONFIGURATION: &str = "deploy/opentelemetry/collector.yaml";

/// The collector, with what its configuration leaves open.
fn otelcol(backend: &str, folder: &Path) -> Command {
    let mut command = Command::new(tool("otelcol"));
    command.env("BACKEND_ENDPOINT", backend).env("AUDIT_ENDPOINT", backend);
    command.env("AUDIT_FOLDER", folder.join("audit"));
    command
}

#[test]
fn the_collector_takes_its_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |path: &str| {
        let mut command = otelcol("https://backend.example:4317", folder.path());
        let output = command.args(["validate", "--config", path]).output().expect("otelcol");
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    let (right, said) = check(CONFIGURATION);
    assert!(right && !said.contains("deprecated"), "{said}");
    // It does look.
    let wrong = folder.path().join("wrong.yaml");
    let configuration = fs::read_to_string(CONFIGURATION).expect("the configuration");
    for (from, to) in [("limit_mib", "limit_mb"), ("exporters: [otlp", "exporters: [nowhere")] {
        assert!(configuration.contains(from), "{from}");
        fs::write(&wrong, configuration.replace(from, to)).expect("a file");
        let (right, said) = check(wrong.to_str().expect("UTF-8"));
        assert!(!right, "{to}: {said}");
    }
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_collector_every_signal_arrives_behind_it() {
    let (backend, folder) = (Collector::start(), tempfile::tempdir().expect("a folder"));
    // A port that was free a moment ago.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    drop(listener);
    let configuration = fs::read_to_string(CONFIGURATION).expect("the configuration");
    assert!(configuration.contains("127.0.0.1:4317"), "it listens elsewhere");
    // The backend of this test has no certificate.
    let configuration = configuration
        .replace("127.0.0.1:4317", &address)
        .replace("_ENDPOINT}", "_ENDPOINT}\n    tls:\n      insecure: true");
    let here = folder.path().join("collector.yaml");
    fs::write(&here, configuration).expect("a file");
    let process = otelcol(&format!("http://{}", backend.address), folder.path())
        .arg("--config")
        .arg(&here)
        .stdout(Stdio::null())
        .stderr(fs::File::create(folder.path().join("said")).expect("a file"))
        .spawn()
        .expect("otelcol");
    let _running = Running(process);
    let said = || fs::read_to_string(folder.path().join("said")).unwrap_or_default();
    wait("the collector listens", &said, || TcpStream::connect(&address).is_ok());

    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}"));
    let log = ["--decision-log", "otlp", "--decision-log-mode", "durable=30s"];
    let args = [&log[..], &["--telemetry-trace-ratio", "1"]].concat();
    let served = Served::start_by(command, "127.0.0.1:0", &args);
    let answers = ask(&served.address, (0..50).map(|_| question("42"))).await;
    served.stop();
    let given: HashSet<String> =
        answers.into_iter().map(|answer| answer.expect("an answer").decision_id).collect();
    wait("all of it is there", &said, || {
        let taken = backend.taken();
        let records = decisions(&backend.records()).len();
        records == 50 && taken.spans.len() == 50 && !taken.metrics.is_empty()
    });
    let records = backend.records();
    let recorded = decisions(&records).into_iter();
    let recorded: HashSet<String> =
        recorded.map(|record| record["eventID"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(recorded, given);
    let spans = backend.taken().spans;
    let spanned: HashSet<String> = spans
        .iter()
        .filter_map(|span| attribute(&span.attributes, "keyward.decision_id"))
        .collect();
    assert_eq!(spanned, given);
}

fn wait(what: &str, said: &dyn Fn() -> String, so: impl Fn() -> bool) {
    for _ in 0..60_000 {
        if so() {
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(1));
    }
    panic!("not in a long time: {what}: {}", said());
}
