//! A thousand reloads while questions are asked.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyward::wire::v1::grant_service_client::GrantServiceClient;
use keyward::wire::{self, v1};
use serde_json::json;

use super::{ACCOUNT, ALICE, KEY, Watched, key_for, question, revision};
use crate::doors::{keyward, parsed, text};

const RELOADS: usize = 1000;

/// Two tenants, in turn; every generation is another set.
fn generation(index: usize) -> String {
    let tenant = ["42", "43"][index % 2];
    key_for(tenant).replace("\"2012-10-17\"", &format!("\"2012-10-17\",\"Id\":\"{index}\""))
}

fn resident_kilobytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    line.split_whitespace().nth(1).and_then(|size| size.parse().ok()).expect("kilobytes")
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_thousand_reloads_every_answer_is_that_of_the_revision_it_names() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, next) = (folder.path().join("a.json"), folder.path().join(".next"));
    fs::write(&file, generation(0)).expect("a file");
    let mut watched = Watched::start(folder.path(), &["--settle", "0"]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let mut askers = Vec::new();
    for tenant in ["42", "43"] {
        let stop = Arc::clone(&stop);
        let mut client = watched.client().await;
        askers.push(tokio::spawn(async move {
            let mut answers = HashSet::new();
            while !stop.load(Ordering::Relaxed) {
                let answer = client.authorize(question(tenant)).await.expect("no call fails");
                let answer = answer.into_inner();
                let decision = answer.decision();
                answers.insert((answer.policy_revision, tenant, decision));
            }
            answers
        }));
    }
    let mut documents = vec![generation(0)];
    let mut sizes = Vec::new();
    for index in 1..=RELOADS {
        let text = generation(index);
        fs::write(&next, &text).expect("a file");
        fs::rename(&next, &file).expect("over it");
        let wanted = revision(&[&text]);
        watched.until(|status| status.revision == wanted).await;
        documents.push(text);
        if index == RELOADS / 5 || index == RELOADS {
            sizes.push(resident_kilobytes(watched.served.process.id()));
        }
    }
    stop.store(true, Ordering::Relaxed);
    let mut answers: HashSet<(String, &str, v1::Decision)> = HashSet::new();
    for asker in askers {
        answers.extend(asker.await.expect("no call failed"));
    }
    let status = watched.status().await;
    assert_eq!(status.counts.expect("counts").applied, RELOADS as u64);
    watched.served.stop();
    offline(&documents, answers);
    // The first fifth fills what grows once: allocator, caches, connections. A set that is kept
    // after it was replaced would take some kilobytes each.
    assert!(sizes[1] < sizes[0] + 3 * 1024, "{sizes:?} kB after a fifth and after all");
}

/// What `keyward simulate` decides of the same documents.
fn offline(documents: &[String], answers: HashSet<(String, &str, v1::Decision)>) {
    assert!(answers.len() > 20, "only {} different answers", answers.len());
    let by_revision: std::collections::HashMap<String, &String> =
        documents.iter().map(|text| (revision(&[text]), text)).collect();
    let (mut lines, mut expected) = (Vec::new(), Vec::new());
    for (revision, tenant, decision) in answers {
        let document = by_revision.get(&revision).expect("a set that was written, no mixture");
        let document: serde_json::Value = serde_json::from_str(document).expect("JSON");
        let request = json!({"principal": {"arn": ALICE}, "action": "kms:Decrypt", "keyId": KEY,
            "encryptionContext": {"tenant": tenant}});
        lines
            .push(json!({"id": revision, "documents": [document], "request": request}).to_string());
        expected.push(match decision {
            v1::Decision::Allowed => "allowed",
            v1::Decision::ImplicitDeny => "implicitDeny",
            other => panic!("{other:?}"),
        });
    }
    let output = keyward(&["simulate"], &lines.join("\n"));
    let simulated: Vec<serde_json::Value> = text(&output.stdout).lines().map(parsed).collect();
    assert_eq!(simulated.len(), expected.len());
    for (simulated, expected) in simulated.iter().zip(expected) {
        assert_eq!(simulated["decision"], expected, "{simulated}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_revoked_while_policies_are_compiled_stays_revoked() {
    let (folder, data) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let root = json!({"KeyMetadata": {"Arn": KEY}, "Policy": "default"}).to_string();
    // Compiling takes a while, so that changes of grants fall into it.
    let many: Vec<String> = (0..400)
        .map(|index| {
            key_for("t")
                .replace("1234abcd-12ab", &format!("{index:08x}-12ab"))
                .replace("\"t\"", &format!("\"t{index}\""))
        })
        .collect();
    let bulk = |turn: usize| {
        format!("{{\"Keys\":[{}],\"Assertions\":[],\"Turn\":{turn}}}", many.join(","))
    };
    fs::write(folder.path().join("a.json"), root).expect("a file");
    fs::write(folder.path().join("b.json"), bulk(0)).expect("a file");
    let more = ["--settle", "0", "--data-dir", data.path().to_str().expect("UTF-8")];
    let watched = Watched::start(folder.path(), &more).await;
    let mut grants = GrantServiceClient::new(watched.admin.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (stop, folder) = (Arc::clone(&stop), folder.path().to_owned());
        let bulk: Vec<String> = (1..3).map(bulk).collect();
        std::thread::spawn(move || {
            for text in bulk.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                fs::write(folder.join(".next"), text).expect("a file");
                fs::rename(folder.join(".next"), folder.join("b.json")).expect("over it");
            }
        })
    };
    let admin = format!("arn:aws:iam::{ACCOUNT}:root");
    let caller = json!({"arn": admin});
    let mut client = watched.client().await;
    for turn in 0..60 {
        let create = json!({"caller": caller, "keyId": KEY, "granteePrincipal": ALICE,
            "operations": ["Decrypt"], "name": format!("g{turn}")});
        let create: v1::CreateGrantRequest = message("CreateGrantRequest", &create);
        let grant = grants.create_grant(create).await.expect("a grant").into_inner().grant_id;
        let answer = client.authorize(question("x")).await.expect("an answer").into_inner();
        assert_eq!(answer.decision(), v1::Decision::Allowed, "turn {turn}");
        let revoke = json!({"caller": caller, "keyId": KEY, "grantId": grant});
        let revoke: v1::RevokeGrantRequest = message("RevokeGrantRequest", &revoke);
        grants.revoke_grant(revoke).await.expect("revoked");
        for _ in 0..20 {
            let answer = client.authorize(question("x")).await.expect("an answer").into_inner();
            assert_eq!(answer.decision(), v1::Decision::ImplicitDeny, "turn {turn}: it came back");
        }
    }
    stop.store(true, Ordering::Relaxed);
    writer.join().expect("the writer");
    let counts = watched.status().await.counts.expect("counts");
    assert!(counts.applied > 5, "only {} reloads", counts.applied);
    watched.served.stop();
}

fn message<T: prost::Message + Default>(name: &str, json: &serde_json::Value) -> T {
    wire::proto::json::read(name, &json.to_string()).expect("a message")
}
