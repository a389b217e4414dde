//! What the manifests run, run: the container's arguments, environment, files and probes as they are
//! written, on this machine.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::manifests::{documents, kustomized, of_kind, rendered, values, with_grants};
use crate::doors::{keyward, parsed, text, tool};
use crate::signals::{WITH_ACCESS, names};

/// Folders of the container that are mounted, or that lead there.
const MOUNTED: [&str; 3] = ["/etc/keyward", "/run/keyward", "/var/lib/keyward"];

/// Keyward's container, with its files in a folder of this machine.
struct Pod {
    root: tempfile::TempDir,
    container: Value,
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl Pod {
    /// Lays out what the container of a Deployment finds.
    fn of(yaml: &str) -> Self {
        let root = tempfile::tempdir().expect("a folder");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("a folder");
        let documents = documents(yaml);
        let pod = &of_kind(&documents, "Deployment")["spec"]["template"]["spec"];
        let containers = ["containers", "initContainers"].map(|kind| pod[kind].as_array());
        let container = containers
            .into_iter()
            .flatten()
            .flatten()
            .find(|container| container["name"] == "keyward")
            .expect("a container")
            .clone();
        let here = |text: &str| placed(text, root.path());
        for mount in container["volumeMounts"].as_array().expect("mounts") {
            let path = root
                .path()
                .join(mount["mountPath"].as_str().expect("a path").trim_start_matches('/'));
            fs::create_dir_all(&path).expect("a folder");
            let mut volumes = pod["volumes"].as_array().expect("volumes").iter();
            let volume = volumes.find(|volume| volume["name"] == mount["name"]).expect("a volume");
            if let Some(name) = volume["configMap"]["name"].as_str() {
                let mut maps = documents.iter().filter(|document| document["kind"] == "ConfigMap");
                let map = maps.find(|map| map["metadata"]["name"] == name).expect("a ConfigMap");
                let files = map["data"].as_object().expect("files").iter();
                projected(
                    &path,
                    files.map(|(name, text)| (name.as_str(), here(text.as_str().expect("a text")))),
                );
            } else if volume["secret"]["secretName"] == "keyward-tls" {
                certificates(&root.path().join("pki"));
                let read = |name: &str| {
                    fs::read_to_string(root.path().join("pki").join(name)).expect("a file")
                };
                let files =
                    [("tls.crt", "server.pem"), ("tls.key", "server.key"), ("ca.crt", "ca.pem")];
                projected(&path, files.into_iter().map(|(name, file)| (name, read(file))));
            }
        }
        let list = |value: &Value, read: &dyn Fn(&Value) -> String| {
            value
                .as_array()
                .map(|list| list.iter().map(read).collect::<Vec<_>>())
                .unwrap_or_default()
        };
        let args = list(&container["args"], &|arg| here(arg.as_str().expect("a text")));
        let env = container["env"].as_array().into_iter().flatten().map(|pair| {
            let of = |name: &str| pair[name].as_str().expect("a text").to_owned();
            (of("name"), here(&of("value")))
        });
        let env = env.collect();
        Self { root, container, args, env }
    }

    fn path(&self, path: &str) -> String {
        placed(path, self.root.path())
    }

    /// Starts it, and waits until it listens everywhere.
    fn start(self) -> Running {
        let mut process = Command::new(env!("CARGO_BIN_EXE_keyward"))
            .args(&self.args)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .env("KEYWARD_LOG_FORMAT", "json")
            .env("KEYWARD_DRAIN_GRACE", "0s")
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("AWS_REGION")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary");
        let mut lines = BufReader::new(process.stderr.take().expect("standard error")).lines();
        let (mut data, mut http, mut told) = (String::new(), String::new(), String::new());
        for line in lines.by_ref() {
            let line = line.expect("a line");
            told += &line;
            let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
            let address = line["address"].as_str().unwrap_or_default();
            match line["message"].as_str() {
                Some("listening") => data = address.to_owned(),
                Some("listening for metrics and probes") => http = address.to_owned(),
                _ => {}
            }
            if !http.is_empty() {
                break;
            }
        }
        assert!(!http.is_empty(), "it does not start: {told}");
        // The rest is read, so that nobody waits for a full pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).count());
        Running { pod: self, process, data, http }
    }
}

/// A text with its paths below `root`, and its ports any free ones of loopback.
fn placed(text: &str, root: &Path) -> String {
    let root = root.to_str().expect("UTF-8");
    MOUNTED
        .iter()
        .fold(text.to_owned(), |text, path| text.replace(path, &format!("{root}{path}")))
        .replace("0.0.0.0:7180", "127.0.0.1:0")
        .replace("0.0.0.0:7181", "127.0.0.1:0")
}

/// Files as a kubelet lays them out: links into a folder that a link leads to.
fn projected<'f>(folder: &Path, files: impl Iterator<Item = (&'f str, String)>) {
    fs::create_dir(folder.join("..one")).expect("a folder");
    symlink("..one", folder.join("..data")).expect("a link");
    for (name, text) in files {
        fs::write(folder.join("..one").join(name), text).expect("a file");
        symlink(Path::new("..data").join(name), folder.join(name)).expect("a link");
    }
}

/// A CA, a server, and two workloads with SPIFFE ids.
fn certificates(folder: &Path) {
    let script = r#"
        set -eu
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 \
            -subj /CN=test -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
        make() {
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.csr -subj /CN=$1
            printf "basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=$2\n" > $1.ext
            openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out $1.pem -days 2 -extfile $1.ext
        }
        make server DNS:keyward.keyward.svc,IP:127.0.0.1
        make orders URI:spiffe://example.org/ns/shop/sa/orders
        make reports URI:spiffe://example.org/ns/shop/sa/reports
    "#;
    fs::create_dir_all(folder).expect("a folder");
    let output = Command::new("bash").args(["-c", script]).current_dir(folder).output();
    let output = output.expect("bash");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// A running Keyward.
struct Running {
    pod: Pod,
    process: Child,
    data: String,
    http: String,
}

impl Running {
    /// Does what the kubelet would do for a probe; whether it succeeds.
    fn probe(&self, name: &str) -> bool {
        let probe = &self.pod.container[name];
        if let Some(command) = probe["exec"]["command"].as_array() {
            let command: Vec<String> =
                command.iter().map(|word| self.pod.path(word.as_str().expect("a text"))).collect();
            let (program, args) = command.split_first().expect("a command");
            assert_eq!(program, "/usr/local/bin/keyward");
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            return keyward(&args, "").status.success();
        }
        let path = probe["httpGet"]["path"].as_str().unwrap_or_else(|| panic!("no {name}"));
        let answer = self.get(path);
        answer.starts_with("HTTP/1.0 200") || answer.starts_with("HTTP/1.1 200")
    }

    /// What the listener for metrics and probes answers.
    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.http).expect("a connection");
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }

    /// May a session of a role decrypt for tenant 42?
    fn ask(&self, mut client: Command, role: &str) -> Output {
        let question = format!(
            r#"{{"principal":{{"arn":"arn:aws:sts::111122223333:assumed-role/{role}/i-0abc"}},
            "action":"kms:Decrypt","key_id":"alias/orders","encryption_context":{{"tenant":"42"}}}}"#
        );
        let address = match self.data.strip_prefix("unix:") {
            Some(path) => format!("unix://{path}"),
            None => self.data.clone(),
        };
        let method = "keyward.v1.AuthorizationService/Authorize";
        client.args(["-d", &question, &address, method]).output().expect("grpcurl")
    }

    /// grpcurl with the certificate of a workload.
    fn workload(&self, name: &str) -> Command {
        let pki = self.pod.root.path().join("pki");
        let mut command = Command::new(tool("grpcurl"));
        command.arg("-cacert").arg(pki.join("ca.pem"));
        command.arg("-cert").arg(pki.join(format!("{name}.pem")));
        command.arg("-key").arg(pki.join(format!("{name}.key")));
        command
    }

    /// Ends it as the kubelet would.
    fn stop(mut self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        assert_eq!(self.process.wait().expect("an end").code(), Some(0));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// grpcurl as a user of the machine.
fn user(uid: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", uid, "--regid", "0", "--clear-groups"]);
    command.arg(fs::canonicalize(tool("grpcurl")).expect("grpcurl"));
    command.arg("-plaintext");
    command
}

#[track_caller]
fn allowed(output: &Output) {
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(parsed(&text(&output.stdout))["decision"], "DECISION_ALLOWED");
}

#[track_caller]
fn refused(output: &Output, with: &str) {
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains(with), "{said}");
}

#[test]
fn the_policies_of_every_manifest_pass_the_check_and_its_configuration_is_taken() {
    let built = ["sidecar", "central", "central-with-grants"].map(kustomized);
    for yaml in built.into_iter().chain([rendered(&values()), rendered(&with_grants())]) {
        let pod = Pod::of(&yaml);
        let policies = pod.path("/etc/keyward/policies");
        let checked = keyward(&["check", "--policies", &policies], "");
        assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
        let mut args: Vec<&str> = pod.args.iter().map(String::as_str).collect();
        args.push("--check-config");
        let config = keyward(&args, "");
        assert_eq!(config.status.code(), Some(0), "{}", text(&config.stderr));
    }
}

#[test]
fn the_sidecar_answers_its_service_about_its_own_role_alone() {
    let running = Pod::of(&kustomized("sidecar")).start();
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert!(running.probe(probe), "{probe}");
    }
    allowed(&running.ask(user("10001"), "OrdersService"));
    refused(&running.ask(user("10001"), "KeyAdministrator"), "PermissionDenied");
    refused(&running.ask(user("10002"), "OrdersService"), "PermissionDenied");
    running.stop();
}

#[test]
fn the_central_service_answers_workloads_about_their_own_roles_alone() {
    for yaml in [kustomized("central"), rendered(&values())] {
        let running = Pod::of(&yaml).start();
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            assert!(running.probe(probe), "{probe}");
        }
        allowed(&running.ask(running.workload("orders"), "OrdersService"));
        refused(&running.ask(running.workload("orders"), "KeyAdministrator"), "PermissionDenied");
        refused(&running.ask(running.workload("reports"), "OrdersService"), "PermissionDenied");
        let mut stranger = Command::new(tool("grpcurl"));
        stranger.arg("-cacert").arg(running.pod.root.path().join("pki/ca.pem"));
        assert!(!running.ask(stranger, "OrdersService").status.success());
        let metrics = names(&running.get("/metrics"));
        for name in WITH_ACCESS {
            assert!(metrics.contains(name), "no {name}");
        }
        running.stop();
    }
}

#[test]
fn the_central_service_with_grants_keeps_them_in_its_volume() {
    for yaml in [kustomized("central-with-grants"), rendered(&with_grants())] {
        let running = Pod::of(&yaml).start();
        assert!(running.probe("readinessProbe"));
        assert!(Path::new(&running.pod.path("/var/lib/keyward/data/grants.sqlite3")).exists());
        running.stop();
    }
}
