//! The signals as their readers see them: Prometheus's own checks, alert rules with their tests, a
//! dashboard that asks for what there is, probes.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::collector::Collector;
use crate::decision_log::{ask, question};
use crate::doors::{parsed, text, tool};
use crate::served::Served;

const DASHBOARD: &str = "deploy/dashboards/keyward.json";

/// A service with everything on, asked a few questions.
async fn everything_on(collector: &Collector, folder: &std::path::Path) -> Served {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keyward"));
    command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}", collector.address));
    let log = format!("file:{}", folder.join("decisions.jsonl").display());
    let more = ["--http-listen", "127.0.0.1:0", "--decision-log", &log, "--decision-log", "otlp"];
    let served = Served::start_by(command, "127.0.0.1:0", &more);
    ask(&served.address, [question("42"), question("43")]).await;
    served
}

/// Metrics that a service has with TLS or a callers file alone: the tests of what `deploy/` runs see
/// them there.
pub(crate) const WITH_ACCESS: [&str; 2] =
    ["keyward_access_reload_total", "keyward_tls_certificate_expiry_timestamp_seconds"];

/// The names of the metrics in Prometheus's text.
pub(crate) fn names(metrics: &str) -> BTreeSet<String> {
    let types = metrics.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// The metrics that a query asks for.
fn asked(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
    let ours = words.filter(|word| word.starts_with("keyward_") || word.starts_with("rpc_server_"));
    let base = |word: &str| {
        let suffix = ["_bucket", "_count", "_sum"].iter().find_map(|end| word.strip_suffix(end));
        suffix.unwrap_or(word).to_owned()
    };
    ours.map(base).collect()
}

/// The queries of a dashboard as rules that Prometheus can read: JSON is YAML.
fn dashboard_rules(dashboard: &Value) -> Value {
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().expect("targets"));
    let rules = targets.enumerate().map(|(number, target)| {
        let query = target["expr"].as_str().expect("a query");
        let query = query.replace("$__rate_interval", "5m").replace("$instance", ".*");
        json!({"record": format!("panel:{number}"), "expr": query})
    });
    let rules: Vec<Value> = rules.collect();
    json!({"groups": [{"name": "dashboard", "rules": rules}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_are_what_prometheus_wants_and_what_dashboard_and_alerts_ask_for() {
    let (collector, folder) = (Collector::start(), tempfile::tempdir().expect("a folder"));
    let served = everything_on(&collector, folder.path()).await;
    let answer = served.get("/metrics");
    served.stop();
    let (head, metrics) = answer.split_once("\r\n\r\n").expect("a body");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");

    let mut promtool = Command::new(tool("promtool"))
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool");
    promtool.stdin.take().expect("input").write_all(metrics.as_bytes()).expect("metrics");
    let checked = promtool.wait_with_output().expect("an end");
    let said = text(&checked.stdout) + &text(&checked.stderr);
    assert!(checked.status.success() && said.is_empty(), "{said}");

    let names = names(metrics);
    let dashboard = fs::read_to_string(DASHBOARD).expect("the dashboard");
    let dashboard = parsed(&dashboard);
    let targets = dashboard["panels"].as_array().expect("panels").iter().flat_map(|panel| {
        panel["targets"].as_array().expect("targets").iter().map(|target| &target["expr"])
    });
    let variables = dashboard["templating"]["list"].as_array().expect("variables").iter();
    let mut queries: Vec<&str> = targets.filter_map(Value::as_str).collect();
    queries.extend(variables.filter_map(|variable| variable["query"]["query"].as_str()));
    assert!(queries.len() > 15, "{queries:?}");
    let rules = fs::read_to_string("deploy/prometheus/keyward.rules.yml").expect("the rules");
    let rules = rules.lines().filter(|line| !line.trim_start().starts_with(['#', 's', 'd']));
    let rules = rules.collect::<Vec<_>>().join("\n");
    queries.push(&rules);
    for query in queries {
        for name in asked(query) {
            let elsewhere = WITH_ACCESS.contains(&&*name);
            assert!(names.contains(&name) || elsewhere, "no metric `{name}`: {query}");
        }
    }

    // What the dashboard asks is PromQL.
    let rules = dashboard_rules(&dashboard);
    let file = folder.path().join("dashboard.yml");
    fs::write(&file, rules.to_string()).expect("a file");
    let checked = Command::new(tool("promtool"))
        .args(["check", "rules", file.to_str().expect("UTF-8")])
        .output()
        .expect("promtool");
    let said = text(&checked.stdout) + &text(&checked.stderr);
    assert!(checked.status.success() && said.contains("21 rules found"), "{said}");

    // What is told is documented.
    let docs = fs::read_to_string("docs/telemetry.md").expect("the documentation");
    for name in names.iter().map(String::as_str).chain(WITH_ACCESS) {
        assert!(docs.contains(&format!("`{name}`")), "docs/telemetry.md says nothing of {name}");
    }
}

#[test]
fn the_dashboard_is_one_by_grafanas_own_types() {
    let check = |path: &str| {
        let output = Command::new(tool("dashboard")).arg(path).output().expect("the tool");
        (output.status.success(), text(&output.stderr))
    };
    let (right, said) = check(DASHBOARD);
    assert!(right, "{said}");
    // It does look.
    let dashboard = fs::read_to_string(DASHBOARD).expect("the dashboard");
    let wrong = tempfile::NamedTempFile::new().expect("a file");
    for (from, to, place) in [
        ("\"expr\"", "\"query\"", "panels[0].targets[0]"),
        ("\"gridPos\"", "\"position\"", "panels[0]"),
        ("\"w\": 8", "\"w\": 80", "gridPos.w"),
        ("\"unit\": \"ops\"", "\"unit\": 5", "panels[0].fieldConfig"),
        ("\"showLegend\"", "\"legends\"", "panels[0].options.legend"),
        ("\"schemaVersion\"", "\"schema\"", "schemaVersion"),
    ] {
        assert!(dashboard.contains(from), "{from}");
        fs::write(wrong.path(), dashboard.replace(from, to)).expect("a file");
        let (right, said) = check(wrong.path().to_str().expect("UTF-8"));
        assert!(!right && said.contains(place), "{to}: {said}");
    }
}

#[test]
fn the_alert_rules_are_right_and_do_what_they_say() {
    for args in [
        ["check", "rules", "keyward.rules.yml"],
        ["test", "rules", "keyward.test.yml"],
        ["check", "config", "prometheus.yml"],
    ] {
        let promtool = fs::canonicalize(tool("promtool")).expect("promtool");
        let output = Command::new(promtool)
            .args(args)
            .current_dir("deploy/prometheus")
            .output()
            .expect("promtool");
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_answer_and_nothing_else_does() {
    let served = Served::start("127.0.0.1:0", &["--http-listen", "127.0.0.1:0"]);
    for path in ["/livez", "/readyz"] {
        let answer = served.get(path);
        assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("ok\n"), "{answer}");
    }
    assert!(served.get("/").starts_with("HTTP/1.0 404"));
    served.stop();
}
