//! Killed at any moment, it goes on where its answers ended.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use keyward::store::grants::GrantsDatabase;

use super::elsewhere::{Running, folder, say};
use super::sample::{Dice, Grants, creation, grant, open, opened, removal};

const ROUNDS: u64 = 40;

/// The process that is killed: four tasks that create and remove, and say so when it was answered.
#[test]
fn a_process_makes_changes_until_it_is_killed() {
    let Some(folder) = folder() else { return };
    say("opening");
    let (opened, _) = opened(&folder);
    say("open");
    let (database, first) = (Arc::new(opened.database), opened.sequence);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    runtime.block_on(async {
        let tasks = (0..4).map(|task| {
            tokio::spawn(changes(database.clone(), format!("after{first}task{task}"), task))
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("a task that ends well");
        }
    });
}

async fn changes(database: Arc<GrantsDatabase>, prefix: String, task: u64) {
    let mut dice = Dice(task);
    let mut mine = Vec::new();
    for number in 0..10_000 {
        if mine.is_empty() || dice.below(9) < 5 {
            let id = format!("{prefix}number{number}");
            let applied = database.change(creation(grant(&id))).await.expect("a creation");
            say(&format!("created {id} {}", applied.sequence));
            mine.push(id);
        } else {
            let id = mine.swap_remove(dice.below(mine.len()));
            say(&format!("removing {id} 0"));
            let applied = database.change(removal(&id)).await.expect("a removal");
            say(&format!("removed {id} {}", applied.sequence));
        }
    }
}

/// What was said, over all rounds.
#[derive(Default)]
struct Heard {
    must_be_there: BTreeSet<String>,
    must_be_gone: BTreeSet<String>,
    sequences: BTreeSet<u64>,
}

impl Heard {
    /// Takes in a line; true if it acknowledges a change.
    fn take(&mut self, line: &str) -> bool {
        let mut words = line.split(' ');
        let (Some(what), Some(id), Some(sequence)) = (words.next(), words.next(), words.next())
        else {
            return false;
        };
        match what {
            "created" => assert!(self.must_be_there.insert(id.to_owned())),
            // From now on either will do.
            "removing" => assert!(self.must_be_there.remove(id)),
            "removed" => assert!(self.must_be_gone.insert(id.to_owned())),
            other => panic!("{other}"),
        }
        if what == "removing" {
            return false;
        }
        assert!(self.sequences.insert(sequence.parse().expect("a number")), "{line}: used before");
        true
    }

    fn check(&self, sequence: u64, grants: &Grants, round: u64) {
        let lost: Vec<_> =
            self.must_be_there.iter().filter(|id| !grants.contains_key(*id)).collect();
        assert!(lost.is_empty(), "round {round}: lost {lost:?}");
        let back: Vec<_> = self.must_be_gone.iter().filter(|id| grants.contains_key(*id)).collect();
        assert!(back.is_empty(), "round {round}: came back {back:?}");
        for (id, found) in grants {
            assert_eq!(*found, grant(id), "round {round}");
        }
        assert!(self.sequences.last().is_none_or(|last| *last <= sequence), "round {round}");
    }
}

#[test]
fn what_was_answered_before_a_kill_is_there_and_nothing_is_half_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut heard = Heard::default();
    let mut last = 0;
    for round in 0..ROUNDS {
        let mut dice = Dice(round);
        let mut process =
            Running::start("crash::a_process_makes_changes_until_it_is_killed", folder.path());
        let mut left = 1 + dice.below(100);
        while left > 0 {
            let line = process.next().expect("a process that runs until it is killed");
            left -= usize::from(heard.take(&line));
        }
        for line in process.kill() {
            heard.take(&line);
        }
        // Opening counts everything anew, and refuses a database whose counts disagree.
        let (opened, grants) = opened(folder.path());
        heard.check(opened.sequence, &grants, round);
        assert!(opened.sequence > last, "round {round}");
        last = opened.sequence;
        check_counts(folder.path(), &grants);
    }
    assert!(heard.sequences.len() as u64 > ROUNDS * 10);
}

/// Counts by other means than the product's.
fn check_counts(folder: &Path, grants: &Grants) {
    let file = rusqlite::Connection::open(folder.join("grants.sqlite3")).expect("the file");
    let counted: i64 = file
        .query_row("SELECT coalesce(sum(grants), 0) FROM keys", [], |row| row.get(0))
        .expect("a sum");
    assert_eq!(counted.cast_unsigned(), grants.len() as u64);
    let wrong: i64 = file
        .query_row(
            "SELECT count(*) FROM (SELECT count(*) AS held, k.grants AS said FROM keys k \
             JOIN grants g USING (key) GROUP BY k.key HAVING held <> said)",
            [],
            |row| row.get(0),
        )
        .expect("a count");
    assert_eq!(wrong, 0);
}

#[test]
fn a_kill_while_the_database_is_made_leaves_none_or_a_whole_one() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().expect("a folder");
        let mut process =
            Running::start("crash::a_process_makes_changes_until_it_is_killed", folder.path());
        assert_eq!(process.next().as_deref(), Some("opening"));
        let mut heard = Heard::default();
        for line in process.kill().iter().filter(|line| *line != "open") {
            heard.take(line);
        }
        let (opened, grants) = open(folder.path()).unwrap_or_else(|error| panic!("{error}"));
        heard.check(opened.sequence, &grants, 0);
    }
}
