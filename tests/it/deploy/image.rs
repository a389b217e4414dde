//! The image: built by buildah from `deploy/Dockerfile` around this very binary, and run.

use std::path::Path;
use std::process::Command;

use crate::doors::{parsed, text};
use crate::served::{Served, run};

const QUESTION: &str = r#"{"principal":{"arn":"arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc"},
    "action":"kms:Decrypt","key_id":"alias/orders","encryption_context":{"tenant":"TENANT"}}"#;

fn image(what: &str, folder: &Path) -> Command {
    let mut command = Command::new("./.ci/image");
    command.arg(what).arg(folder);
    command
}

fn ask(address: &str, tenant: &str) -> String {
    let data = QUESTION.replace("TENANT", tenant);
    let method = "keyward.v1.AuthorizationService/Authorize";
    let output = run("grpcurl", &["-plaintext", "-d", &data, address, method]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    parsed(&text(&output.stdout))["decision"].as_str().expect("a decision").to_owned()
}

#[test]
fn the_image_is_built_and_answers_as_nobody_with_a_root_that_cannot_be_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let built = image("build", folder.path())
        .arg(env!("CARGO_BIN_EXE_keyward"))
        .output()
        .expect("the script");
    assert!(built.status.success(), "{}", text(&built.stderr));
    let inspected = image("inspect", folder.path()).output().expect("the script");
    let config = parsed(&text(&inspected.stdout));
    let config = &config["OCIv1"]["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(config["Entrypoint"], serde_json::json!(["/usr/local/bin/keyward"]));

    // Buildah's own way to run a container. Asked to end, buildah kills what runs in it.
    let mut served = Served::start_by(image("run", folder.path()), "127.0.0.1:0", &[]);
    assert_eq!(ask(&served.address, "42"), "DECISION_ALLOWED");
    assert_eq!(ask(&served.address, "43"), "DECISION_IMPLICIT_DENY");
    let pid = served.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
    served.process.wait().expect("an end");
    drop(served);

    let served = Served::start_by(image("run-read-only", folder.path()), "127.0.0.1:0", &[]);
    let pid = served.process.id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    assert!(status.contains("\nUid:\t65532\t65532\t65532\t65532\n"), "{status}");
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("its mounts");
    let root = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/")).expect("a root");
    assert!(root.split(' ').nth(5).expect("options").starts_with("ro"), "{root}");
    assert_eq!(ask(&served.address, "42"), "DECISION_ALLOWED");
    assert_eq!(ask(&served.address, "43"), "DECISION_IMPLICIT_DENY");
    served.stop();
}
