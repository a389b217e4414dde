//! Disks that are full or broken, folders that cannot be used: a clear error, nothing lost, and
//! never a wider allow.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::process::Command;

use keyward::wire::v1;
use tonic::Code;

use crate::process::{Authorization, Grants, Place, refused, text};
use crate::world::{WORKER, creation, question, revocation};

async fn allowed(authorization: &mut Authorization, of: &str) -> bool {
    let answer = authorization.authorize(question(WORKER, of)).await.expect("an answer");
    answer.into_inner().decision() == v1::Decision::Allowed
}

/// Creates grants until one is refused: their ids, one a slot, and the refusal.
async fn fill(grants: &mut Grants, prefix: &str) -> (Vec<String>, (Code, String), String) {
    let mut made = Vec::new();
    loop {
        match grants.create_grant(creation(&format!("{prefix}-{}", made.len()))).await {
            Ok(answer) => made.push(answer.into_inner().grant_id),
            Err(status) => {
                let message = status.message().to_owned();
                return (made, refused::<()>(Err(status)), message);
            }
        }
        assert!(made.len() < 100_000, "it never failed");
    }
}

/// Runs what follows with a disk of 8 MiB in the place of the data folder; `None` where the system
/// lets nobody mount.
fn small_disk(place: &Place) -> Option<Vec<String>> {
    let words = ["unshare", "--map-root-user", "--mount", "sh", "-euc"].map(str::to_owned);
    let data = text(&place.data());
    let script = format!("mount -t tmpfs -o size=8192k,mode=0700 tmpfs '{data}'; exec \"$@\"");
    let mut through = words.to_vec();
    through.extend([script, "sh".to_owned()]);
    fs::create_dir(place.data()).expect("a folder");
    let mut tried = Command::new(&through[0]);
    tried.args(&through[1..]).arg("true");
    tried.output().is_ok_and(|output| output.status.success()).then_some(through)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_decisions_go_on_and_no_change_is_half_made() {
    let place = Place::new();
    // Where nobody may mount, the unit tests of the store fill a database that may not grow.
    let Some(through) = small_disk(&place) else { return };
    let served = place.serve_with(&through, &[]);
    let (mut grants, mut authorization) = served.clients().await;
    let (made, refusal, message) = fill(&mut grants, "g").await;
    assert_eq!(refusal, (Code::Unavailable, "KMSInternalException".to_owned()), "{message}");
    assert!(message.contains("is full; nothing was changed"), "{message}");
    assert!(made.len() > 50, "{}", made.len());
    for slot in [0, made.len() / 2, made.len() - 1] {
        assert!(allowed(&mut authorization, &format!("g-{slot}")).await, "{slot}");
    }
    // The one that was refused is not there.
    assert!(!allowed(&mut authorization, &format!("g-{}", made.len())).await);
    // Whatever else is on the disk, a grant can be taken back.
    for (slot, id) in made.iter().enumerate() {
        grants.revoke_grant(revocation(id)).await.unwrap_or_else(|error| panic!("{slot}: {error}"));
        assert!(!allowed(&mut authorization, &format!("g-{slot}")).await, "{slot}");
    }
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn when_what_was_written_is_not_known_nothing_more_is_until_a_restart() {
    let place = Place::new();
    // With a reserve, which is longer than files may become.
    place.serve().stop();
    // No file may grow beyond 512 KiB: a write fails as on a bad disk, not as on a full one.
    let bound = ["sh", "-euc", "trap '' XFSZ; ulimit -f 1024; exec \"$@\"", "sh"];
    let served = place.serve_with(&bound.map(str::to_owned), &[]);
    let (mut grants, mut authorization) = served.clients().await;
    let (made, refusal, message) = fill(&mut grants, "g").await;
    assert_eq!(refusal, (Code::Unknown, "KMSInternalException".to_owned()), "{message}");
    assert!(message.contains("takes no changes until keyward is restarted"), "{message}");
    served.heard("the grants database takes no changes until a restart");
    let last = made.len() - 1;
    assert!(allowed(&mut authorization, "g-0").await && allowed(&mut authorization, "g-1").await);
    assert!(!allowed(&mut authorization, &format!("g-{}", made.len())).await);
    // A revocation that was not made was not acknowledged.
    let found = refused(grants.revoke_grant(revocation(&made[0])).await);
    assert_eq!(found, (Code::Unknown, "KMSInternalException".to_owned()));
    assert!(allowed(&mut authorization, "g-0").await);
    served.kill();
    let served = place.serve();
    let (mut grants, mut authorization) = served.clients().await;
    for slot in [0, last / 2, last] {
        assert!(allowed(&mut authorization, &format!("g-{slot}")).await, "{slot}");
    }
    grants.revoke_grant(revocation(&made[0])).await.expect("a revocation");
    assert!(!allowed(&mut authorization, "g-0").await);
    served.stop();
}

/// A folder with a database of some grants, closed.
async fn filled() -> Place {
    let place = Place::new();
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    for number in 0..20 {
        grants.create_grant(creation(&number.to_string())).await.expect("a grant");
    }
    served.stop();
    place
}

/// The service does not start, says why, and leaves the database as it is.
#[track_caller]
fn check_refused(place: &Place, why: &str) {
    let file = place.data().join("grants.sqlite3");
    let before = fs::read(&file).ok();
    let (code, said) = place.refused();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(why) && said.contains(&text(&place.data())), "{said}");
    assert!(fs::read(&file).ok() == before, "{why}: the file was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_database_that_cannot_be_used_the_service_does_not_start() {
    let place = filled().await;
    let file = place.data().join("grants.sqlite3");
    let whole = fs::read(&file).expect("the file");
    let database = OpenOptions::new().write(true).open(&file).expect("the file");
    let put = |at: u64, bytes: &[u8]| database.write_all_at(bytes, at).expect("written");
    // The number of the format, in the header of the file.
    put(60, &2_u32.to_be_bytes());
    check_refused(&place, "has format 2, newer than 1");
    put(60, &0_u32.to_be_bytes());
    check_refused(&place, "is damaged: its format is 0");
    put(0, &whole);
    put(whole.len() as u64 - 4096, &[0xaa; 4096]);
    check_refused(&place, "is damaged");
    put(0, &whole);
    database.set_len(4096).expect("cut");
    check_refused(&place, "is damaged");
    put(0, &whole);
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("permissions");
    check_refused(&place, "run `chmod 600` on it");
    fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("permissions");
    fs::set_permissions(place.data(), Permissions::from_mode(0o777)).expect("permissions");
    check_refused(&place, "run `chmod 700` on it");
    fs::set_permissions(place.data(), Permissions::from_mode(0o700)).expect("permissions");
    // Whole again, everything is there.
    let served = place.serve();
    let (_, mut authorization) = served.clients().await;
    assert!(allowed(&mut authorization, "0").await && allowed(&mut authorization, "19").await);
    // Another process does not get the folder.
    let (code, said) = place.refused();
    assert_eq!(code, Some(1), "{said}");
    let owner = format!("is in use by another keyward process ({})", served.process.id());
    assert!(said.contains(&owner), "{said}");
    assert!(allowed(&mut authorization, "0").await, "and the first one goes on");
    served.stop();
    // The database is lost: it is not begun anew while something says that there was one.
    fs::remove_file(&file).expect("the file");
    check_refused(&place, "is missing, but `grants.committed` is beside it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_revoked_even_if_its_backup_is_put_back_by_mistake() {
    let place = filled().await;
    let file = place.data().join("grants.sqlite3");
    let backup = fs::read(&file).expect("the file");
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    let one = v1::ListGrantsRequest { limit: 1, ..crate::world::listing(1, "") };
    let one = grants.list_grants(one).await.expect("a list").into_inner();
    grants.revoke_grant(revocation(&one.grants[0].grant_id)).await.expect("a revocation");
    served.stop();
    fs::write(&file, backup).expect("a file");
    check_refused(&place, "lost changes: it ends with change 20, and change 21 had been");
    // Meant so: another history begins, and consistency tokens of the first one are foreign to it.
    fs::remove_file(place.data().join("grants.committed")).expect("the mark");
    let served = place.serve();
    let (mut grants, _) = served.clients().await;
    let mut listing = crate::world::listing(0, "");
    listing.consistency = crate::world::at_least(&one.consistency_token);
    let found = refused(grants.list_grants(listing).await);
    assert_eq!(found, (Code::FailedPrecondition, "FOREIGN_CONSISTENCY_TOKEN".to_owned()));
    served.stop();
}
