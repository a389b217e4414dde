//! A set with one thing changed: do the cases notice?

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;

use super::covered::{Coverage, Stated};
use super::running::Ran;
use crate::engine::decide::coverage::StatementId;
use crate::engine::decide::decide;
use crate::engine::policy::statement::Statement;
use crate::engine::snapshot::grants::Grants;
use crate::engine::snapshot::{PolicySet, Snapshot};
use crate::engine::term::request::Request;
use crate::engine::term::time::Timestamp;
use crate::wire::cases::expectation::Outcome;

/// What is changed, by its position in the coverage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// The effect of a statement is the other one.
    Flip {
        /// The statement.
        statement: usize,
    },
    /// A condition is left out.
    Drop {
        /// The statement.
        statement: usize,
        /// The condition among those of the coverage.
        condition: usize,
    },
    /// A grant is left out.
    Revoke {
        /// The grant.
        grant: usize,
    },
}

/// What became of the changes.
pub(super) struct Mutants {
    /// How many there are.
    pub(super) all: usize,
    /// How many were tried.
    pub(super) tried: usize,
    /// Those that no case notices.
    pub(super) survivors: Vec<Change>,
}

/// Tries at most `most` changes. A change is tried on those cases alone that looked at what is
/// changed: it makes no difference to the others.
pub(super) fn mutate(
    snapshot: &Snapshot,
    coverage: &Coverage,
    ran: &[Ran],
    now: Timestamp,
    most: usize,
) -> Mutants {
    let changes = changes(coverage);
    let requests: Vec<(&Ran, Request<'_>)> = ran
        .iter()
        .filter(|ran| ran.holds())
        .filter_map(|ran| Some((ran, ran.case.request(now).ok()?)))
        .collect();
    let mut trying = Trying {
        // A set of its own: what is changed in it is changed nowhere else.
        snapshot: Snapshot {
            policies: Arc::new(PolicySet::clone(&snapshot.policies)),
            grants: snapshot.grants.clone(),
        },
        coverage,
        requests: &requests,
    };
    let tried = changes.len().min(most);
    let shown = io::stderr().is_terminal();
    let mut survivors = Vec::new();
    for (number, change) in changes.iter().take(tried).enumerate() {
        if shown && number % 100 == 0 {
            progress(&format!("changes tried: {number} of {tried}"));
        }
        if !trying.is_noticed(*change) {
            survivors.push(*change);
        }
    }
    if shown {
        progress("");
    }
    Mutants { all: changes.len(), tried, survivors }
}

/// Writes over the line before.
fn progress(text: &str) {
    // Nobody reads standard error: then nobody waits.
    let _ = write!(io::stderr(), "\r\x1b[K{text}");
}

fn changes(coverage: &Coverage) -> Vec<Change> {
    let mut changes = Vec::new();
    for (statement, stated) in coverage.statements.iter().enumerate() {
        changes.push(Change::Flip { statement });
        let conditions = 0..stated.conditions.len();
        changes.extend(conditions.map(|condition| Change::Drop { statement, condition }));
    }
    changes.extend((0..coverage.grants.len()).map(|grant| Change::Revoke { grant }));
    changes
}

struct Trying<'t, 'r> {
    snapshot: Snapshot,
    coverage: &'t Coverage,
    requests: &'t [(&'r Ran, Request<'r>)],
}

impl Trying<'_, '_> {
    fn is_noticed(&mut self, change: Change) -> bool {
        let coverage = self.coverage;
        match change {
            Change::Flip { statement } => coverage
                .statements
                .get(statement)
                .is_some_and(|stated| self.instead(stated, stated.statement.flipped())),
            Change::Drop { statement, condition } => {
                let stated = coverage.statements.get(statement);
                let found =
                    stated.and_then(|stated| Some((stated, stated.conditions.get(condition)?)));
                found.is_some_and(|(stated, condition)| {
                    let changed = stated.statement.without_conditions(&condition.positions);
                    self.instead(stated, changed)
                })
            }
            Change::Revoke { grant } => {
                let Some(grant) = coverage.grants.get(grant) else { return false };
                let id = (grant.key_arn.clone(), grant.id.clone());
                let grants = &self.snapshot.grants;
                let without = grants.documents.without(&grant.key_arn, &grant.id);
                let changed = Snapshot {
                    policies: Arc::clone(&self.snapshot.policies),
                    grants: Grants { documents: Arc::new(without), live: grants.live.clone() },
                };
                self.fails(&changed, |ran| ran.trace.grants.contains_key(&id))
            }
        }
    }

    /// Whether a case fails with another statement in the place of this one.
    fn instead(&mut self, stated: &Stated, changed: Statement) -> bool {
        let id = StatementId::of(&stated.policy, &stated.statement);
        let looked_at = |ran: &Ran| ran.trace.statements.contains_key(&id);
        if !self.requests.iter().any(|(ran, _)| looked_at(ran)) {
            return false;
        }
        let policy = Arc::new(stated.policy.with(stated.index, changed));
        Arc::make_mut(&mut self.snapshot.policies).replace(&stated.policy, &policy);
        let noticed = self.fails(&self.snapshot, looked_at);
        Arc::make_mut(&mut self.snapshot.policies).replace(&policy, &stated.policy);
        noticed
    }

    fn fails(&self, snapshot: &Snapshot, looked_at: impl Fn(&Ran) -> bool) -> bool {
        self.requests.iter().filter(|(ran, _)| looked_at(ran)).any(|(ran, request)| {
            decide(snapshot, request)
                .map_or(true, |answer| ran.case.compare(&answer) != Outcome::Holds)
        })
    }
}
