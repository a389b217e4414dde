//! A set that is mounted as the kubelet does it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use keyward::wire::v1;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{Watched, key_for, question, revision};

/// A volume, written in the order in which the kubelet's atomic writer does it.
///
/// Source: Kubernetes, `pkg/volume/util/atomic_writer.go`.
pub(super) struct Volume {
    root: PathBuf,
    generation: usize,
}

impl Volume {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), generation: 0 }
    }

    pub(super) fn write(&mut self, files: &BTreeMap<&str, String>) {
        let before = fs::read_link(self.root.join("..data")).ok();
        self.generation += 1;
        let folder = format!("..2026_11_25_16_00_00.{}", self.generation);
        fs::create_dir(self.root.join(&folder)).expect("a new folder");
        for (name, text) in files {
            fs::write(self.root.join(&folder).join(name), text).expect("a file");
        }
        let temporary = self.root.join("..data_tmp");
        symlink(&folder, &temporary).expect("a temporary link");
        fs::rename(&temporary, self.root.join("..data")).expect("the swap");
        for name in files.keys().filter(|name| !self.root.join(name).is_symlink()) {
            symlink(Path::new("..data").join(name), self.root.join(name)).expect("a link");
        }
        for entry in fs::read_dir(&self.root).expect("the volume") {
            let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
            if !name.starts_with("..") && !files.contains_key(name.as_str()) {
                fs::remove_file(self.root.join(name)).expect("a stale link");
            }
        }
        if let Some(before) = before {
            fs::remove_dir_all(self.root.join(before)).expect("the old folder");
        }
    }
}

/// One of two sets: the second has another file, and lacks one of the first.
fn set(tenant: &str) -> BTreeMap<&'static str, String> {
    let other = |id: &str| key_for("other").replace("1234abcd-12ab", id);
    let name = if tenant == "42" { "more.json" } else { "others.json" };
    let id = if tenant == "42" { "aaaaaaaa-12ab" } else { "bbbbbbbb-12ab" };
    BTreeMap::from([("key.json", key_for(tenant)), (name, other(id))])
}

fn revision_of(set: &BTreeMap<&str, String>) -> String {
    revision(&set.values().map(String::as_str).collect::<Vec<_>>())
}

/// Swaps allow for deny and back, under load.
async fn swaps(more: &[&str]) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut volume = Volume::new(folder.path());
    let sets = [set("42"), set("43")];
    let revisions = [revision_of(&sets[0]), revision_of(&sets[1])];
    volume.write(&sets[0]);
    let mut watched = Watched::start(folder.path(), more).await;
    assert_eq!(watched.status().await.revision, revisions[0]);

    // Health must be good all the while: any other word of it is kept.
    let mut unwell = Vec::new();
    for service in ["", "keyward.v1.AuthorizationService", "keyward.policy"] {
        let request = HealthCheckRequest { service: service.to_owned() };
        let told = HealthClient::new(watched.admin.clone()).watch(request).await;
        let mut told = told.expect("a stream").into_inner();
        unwell.push(tokio::spawn(async move {
            while let Ok(Some(answer)) = told.message().await {
                assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
            }
        }));
    }
    let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut askers = Vec::new();
    for _ in 0..4 {
        let (stop, asked, revisions) = (Arc::clone(&stop), Arc::clone(&asked), revisions.clone());
        let mut client = watched.client().await;
        askers.push(tokio::spawn(async move {
            let mut seen = [0_usize; 2];
            while !stop.load(Ordering::Relaxed) {
                let answer = client.authorize(question("42")).await.expect("no call fails");
                let answer = answer.into_inner();
                let which = revisions.iter().position(|known| *known == answer.policy_revision);
                let which = which.expect("one of the two sets, never a mixture");
                let expected = [v1::Decision::Allowed, v1::Decision::ImplicitDeny];
                assert_eq!(answer.decision(), expected[which]);
                seen[which] += 1;
                asked.fetch_add(1, Ordering::Relaxed);
            }
            seen
        }));
    }
    for round in 1..=20 {
        // Answers of the set before are among those that are checked.
        let before = asked.load(Ordering::Relaxed);
        while asked.load(Ordering::Relaxed) < before + 20 {
            tokio::task::yield_now().await;
        }
        volume.write(&sets[round % 2]);
        let wanted = &revisions[round % 2];
        let status = watched.until(|status| status.revision == *wanted).await;
        assert_eq!(status.state(), v1::PolicySetState::Current);
        // What is asked from now on is answered by the new set.
        let expected = [v1::Decision::Allowed, v1::Decision::ImplicitDeny];
        assert_eq!(watched.decision("42").await, expected[round % 2]);
    }
    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        let seen = asker.await.expect("no answer was wrong");
        assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
    }
    let status = watched.status().await;
    let counts = status.counts.expect("counts");
    assert_eq!((counts.refused, counts.unreadable), (0, 0), "{status:?}");
    assert!(counts.applied >= 20);
    for watching in unwell {
        assert!(!watching.is_finished(), "health was good throughout");
        watching.abort();
    }
    watched.served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_is_swapped_under_load() {
    swaps(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_is_swapped_under_load_where_nobody_tells_of_changes() {
    swaps(&["--watch", "false", "--poll-interval", "20ms", "--settle", "1ms"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swapped_link_to_the_folder_itself_applies_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    for tenant in ["42", "43"] {
        fs::create_dir(folder.path().join(tenant)).expect("a folder");
        fs::write(folder.path().join(tenant).join("key.json"), key_for(tenant)).expect("a file");
    }
    let link = folder.path().join("current");
    symlink("42", &link).expect("a link");
    // Neither settling nor looking from time to time would end within the test.
    let never = ["--settle", "1h", "--poll-interval", "1h"];
    let mut watched = Watched::start(&link, &never).await;
    for tenant in ["43", "42", "43"] {
        symlink(tenant, folder.path().join("next")).expect("a link");
        fs::rename(folder.path().join("next"), &link).expect("the swap");
        let wanted = revision(&[&key_for(tenant)]);
        watched.until(|status| status.revision == wanted).await;
        assert_eq!(watched.decision(tenant).await, v1::Decision::Allowed);
    }
    watched.served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_applies_at_once_where_what_was_swapped_away_is_removed() {
    // Neither settling nor looking from time to time would end within the test.
    let never = ["--settle", "1h", "--poll-interval", "1h"];
    let tenants = ["43", "42", "43", "42", "43"];
    // As git-sync does it: each set in a folder of its own, beside a link to one of them.
    let above = tempfile::tempdir().expect("a folder");
    let link = above.path().join("current");
    let check_out = |tenant: &str, round: usize| {
        let folder = above.path().join(format!("worktree-{round}"));
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("key.json"), key_for(tenant)).expect("a file");
        let before = fs::read_link(&link).ok();
        symlink(&folder, above.path().join("next")).expect("a link");
        fs::rename(above.path().join("next"), &link).expect("the swap");
        if let Some(before) = before {
            fs::remove_dir_all(before).expect("the old folder");
        }
    };
    check_out("42", 0);
    let mut watched = Watched::start(&link, &never).await;
    for (round, tenant) in tenants.into_iter().enumerate() {
        check_out(tenant, round + 1);
        let wanted = revision(&[&key_for(tenant)]);
        watched.until(|status| status.revision == wanted).await;
        assert_eq!(watched.decision(tenant).await, v1::Decision::Allowed);
    }
    let counts = watched.status().await.counts.expect("counts");
    assert_eq!((counts.refused, counts.unreadable), (0, 0));
    watched.served.stop();
    // As the kubelet does it.
    let folder = tempfile::tempdir().expect("a folder");
    let mut volume = Volume::new(folder.path());
    let set = |tenant: &str| BTreeMap::from([("key.json", key_for(tenant))]);
    volume.write(&set("42"));
    let mut watched = Watched::start(folder.path(), &never).await;
    for tenant in tenants {
        volume.write(&set(tenant));
        let wanted = revision(&[&key_for(tenant)]);
        watched.until(|status| status.revision == wanted).await;
        assert_eq!(watched.decision(tenant).await, v1::Decision::Allowed);
    }
    watched.served.stop();
}
