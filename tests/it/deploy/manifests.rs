//! The manifests: built by `kubectl kustomize` and Helm, and read against Kubernetes' schemas.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::doors::{parsed, text, tool};

/// The newest Kubernetes whose schemas are at hand.
const KUBERNETES: &str = "1.37.0";

/// The folders that `kubectl kustomize` builds.
const FOLDERS: [&str; 3] = ["sidecar", "central", "central-with-grants"];

const CHART: &str = "deploy/helm/keyward";

/// Runs `manifests.py`; what it says on standard output.
fn python(args: &[&str], input: &str) -> String {
    let mut child = Command::new("python3")
        .arg("tests/it/deploy/manifests.py")
        .args(args)
        .env("PYTHONPATH", ".tools/kubernetes")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python");
    child.stdin.take().expect("standard input").write_all(input.as_bytes()).expect("a reader");
    let output = child.wait_with_output().expect("an end");
    assert!(output.status.success(), "{args:?} fails");
    text(&output.stdout)
}

/// What `kubectl kustomize` makes of a folder.
pub(super) fn kustomized(folder: &str) -> String {
    let path = format!("deploy/kustomize/{folder}");
    let output =
        Command::new(tool("kubectl")).args(["kustomize", &path]).output().expect("kubectl");
    assert!(output.status.success(), "{path}: {}", text(&output.stderr));
    text(&output.stdout)
}

/// What Helm makes of the chart.
pub(super) fn rendered(values: &Value) -> String {
    python(&["render", CHART], &values.to_string())
}

/// The documents of a YAML text.
pub(super) fn documents(yaml: &str) -> Vec<Value> {
    let Value::Array(documents) = parsed(&python(&["documents"], yaml)) else { panic!("no list") };
    documents
}

/// The first document of a kind.
pub(super) fn of_kind<'d>(documents: &'d [Value], kind: &str) -> &'d Value {
    documents.iter().find(|document| document["kind"] == kind).unwrap_or(&Value::Null)
}

fn problems(yaml: &str) -> String {
    python(&["validate", KUBERNETES, ".tools/servicemonitor.yaml"], yaml)
}

/// Values with everything that the chart wants to be told: the policies and callers of
/// `deploy/kustomize/central`.
pub(super) fn values() -> Value {
    let read = |name: &str| {
        fs::read_to_string(format!("deploy/kustomize/central/{name}")).expect("a file")
    };
    json!({
        "callers": read("callers.toml"),
        "policies": {
            "documents": {
                "orders.json": read("policies/orders.json"),
                "iam.json": read("policies/iam.json"),
                "assertions.json": read("policies/assertions.json"),
            },
            "require": ["keys", "iam", "assertions"],
        },
        "serviceMonitor": {"enabled": true},
    })
}

/// The values with a database of grants.
pub(super) fn with_grants() -> Value {
    let mut values = values();
    values["grants"] = json!({"enabled": true, "storageClassName": "fast"});
    values
}

#[test]
fn kubernetes_takes_what_kustomize_builds() {
    for folder in FOLDERS {
        assert_eq!(problems(&kustomized(folder)), "", "{folder}");
    }
}

#[test]
fn a_misspelt_member_of_a_manifest_is_found() {
    let good = kustomized("central");
    for (right, wrong) in [
        ("readOnlyRootFilesystem", "readOnlyRootFileSystem"),
        ("interval: 15s", "intervall: 15s"),
        ("maxUnavailable: 1", "maxUnavailable: [1]"),
        ("kind: NetworkPolicy", "kind: NetworkPolice"),
    ] {
        assert!(good.contains(right), "{right}");
        assert_ne!(problems(&good.replace(right, wrong)), "", "{wrong}");
    }
}

#[test]
fn helm_takes_the_chart_and_kubernetes_takes_what_it_renders() {
    for values in [values(), with_grants()] {
        let report = parsed(&python(&["lint", CHART], &values.to_string()));
        assert_eq!(report["errors"], json!([]), "{report}");
        let graver = report["messages"].as_array().expect("messages").iter();
        // 1 is a piece of information: that a chart may have an icon.
        let graver: Vec<&Value> = graver.filter(|message| message["severity"] != 1).collect();
        assert!(graver.is_empty(), "{graver:?}");
        assert_eq!(problems(&rendered(&values)), "");
    }
}

#[test]
fn only_without_a_database_of_grants_is_there_more_than_one_replica() {
    let told = [
        (kustomized("central"), kustomized("central-with-grants")),
        (rendered(&values()), rendered(&with_grants())),
    ];
    for (many, one) in told {
        let (many, one) = (documents(&many), documents(&one));
        assert_eq!(of_kind(&many, "HorizontalPodAutoscaler")["spec"]["minReplicas"], 3);
        assert_eq!(of_kind(&many, "PodDisruptionBudget")["spec"]["maxUnavailable"], 1);
        assert_eq!(of_kind(&many, "Deployment")["spec"]["replicas"], Value::Null);
        assert_eq!(*of_kind(&many, "PersistentVolumeClaim"), Value::Null);

        assert_eq!(*of_kind(&one, "HorizontalPodAutoscaler"), Value::Null);
        assert_eq!(*of_kind(&one, "PodDisruptionBudget"), Value::Null);
        let deployment = &of_kind(&one, "Deployment")["spec"];
        assert_eq!(deployment["replicas"], 1);
        assert_eq!(deployment["strategy"], json!({"type": "Recreate"}));
        let claim = &of_kind(&one, "PersistentVolumeClaim")["spec"];
        assert_eq!(claim["accessModes"], json!(["ReadWriteOncePod"]));
    }
}

/// An empty selector means everything in the namespace: a policy without egress for every pod of it.
#[test]
fn what_selects_selects_keyward_and_nothing_else() {
    let built = [kustomized("central"), kustomized("central-with-grants")];
    for yaml in built.into_iter().chain([rendered(&values()), rendered(&with_grants())]) {
        let documents = documents(&yaml);
        let pods = &of_kind(&documents, "Deployment")["spec"]["template"]["metadata"]["labels"];
        let services = &of_kind(&documents, "Service")["metadata"]["labels"];
        let mut seen = Vec::new();
        for (kind, at, labels) in [
            ("Deployment", "/spec/selector/matchLabels", pods),
            ("Service", "/spec/selector", pods),
            ("NetworkPolicy", "/spec/podSelector/matchLabels", pods),
            ("PodDisruptionBudget", "/spec/selector/matchLabels", pods),
            ("ServiceMonitor", "/spec/selector/matchLabels", services),
        ] {
            for document in documents.iter().filter(|document| document["kind"] == kind) {
                let selector = document.pointer(at).and_then(Value::as_object);
                let selector = selector.unwrap_or_else(|| panic!("{kind}: no labels"));
                assert_eq!(
                    selector.get("app.kubernetes.io/name"),
                    Some(&json!("keyward")),
                    "{kind}"
                );
                assert!(selector.iter().all(|(name, value)| labels[name] == *value), "{kind}");
                seen.push(kind);
            }
        }
        for kind in ["Deployment", "Service", "NetworkPolicy", "ServiceMonitor"] {
            assert!(seen.contains(&kind), "no {kind}");
        }
    }
}

/// A pod more than usual, and none less: what is required of its place must be had on the nodes
/// that there are.
#[test]
fn an_update_needs_no_node_to_spare() {
    for yaml in [kustomized("central"), rendered(&values())] {
        let documents = documents(&yaml);
        let spec = &of_kind(&documents, "Deployment")["spec"];
        assert_eq!(spec["strategy"]["rollingUpdate"], json!({"maxUnavailable": 0, "maxSurge": 1}));
        let apart = &spec["template"]["spec"]["affinity"]["podAntiAffinity"];
        let kinds: Vec<&String> = apart.as_object().expect("an affinity").keys().collect();
        assert_eq!(kinds, ["preferredDuringSchedulingIgnoredDuringExecution"]);
    }
}

/// What a pod must not be able to do, whoever breaks into it.
#[test]
fn every_container_is_nobody_and_can_write_nothing_but_what_is_mounted() {
    let built = FOLDERS.map(kustomized);
    for yaml in built.into_iter().chain([rendered(&values()), rendered(&with_grants())]) {
        let documents = documents(&yaml);
        let pod = &of_kind(&documents, "Deployment")["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false);
        let containers = ["containers", "initContainers"].map(|kind| pod[kind].as_array());
        let containers: Vec<&Value> = containers.into_iter().flatten().flatten().collect();
        assert!(!containers.is_empty());
        for container in containers {
            let own = &container["securityContext"];
            let either = |name: &str| match &own[name] {
                Value::Null => pod["securityContext"][name].clone(),
                told => told.clone(),
            };
            assert_eq!(either("runAsNonRoot"), true);
            assert!(either("runAsUser").as_u64() > Some(0));
            assert_eq!(either("seccompProfile"), json!({"type": "RuntimeDefault"}));
            assert_eq!(own["readOnlyRootFilesystem"], true);
            assert_eq!(own["allowPrivilegeEscalation"], false);
            assert_eq!(own["capabilities"], json!({"drop": ["ALL"]}));
            assert!(container["resources"]["limits"]["memory"].is_string());
        }
    }
}

#[test]
fn a_chart_that_would_answer_nobody_or_by_nothing_is_refused() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut values = values();
        change(&mut values);
        let output = Command::new("python3")
            .args(["tests/it/deploy/manifests.py", "render", CHART])
            .env("PYTHONPATH", ".tools/kubernetes")
            .stdin(Stdio::from(file(&values)))
            .output()
            .expect("Python");
        assert!(!output.status.success());
        text(&output.stderr)
    };
    assert!(refused(&|values| values["callers"] = json!("")).contains("callers"));
    assert!(refused(&|values| values["policies"]["documents"] = json!({})).contains("policies"));
    assert!(refused(&|values| values["tls"] = json!({"secretName": ""})).contains("secretName"));
    assert!(refused(&|values| values["replicas"] = json!(3)).contains("replicas"));
}

fn file(values: &Value) -> fs::File {
    use std::io::Seek as _;
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(values.to_string().as_bytes()).expect("a disk");
    file.rewind().expect("a file");
    file
}
