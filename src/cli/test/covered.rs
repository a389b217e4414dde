//! What of a set no case touched.

use std::path::Path;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::engine::decide::coverage::{ConditionTouch, StatementId, Trace};
use crate::engine::decide::decision::Layer;
use crate::engine::policy::Policy;
use crate::engine::policy::condition::Test;
use crate::engine::policy::statement::Statement;
use crate::engine::problem::Place;
use crate::engine::snapshot::Snapshot;
use crate::wire::cases::places::Places;

/// What there is to touch, and whether it was.
pub(super) struct Coverage {
    /// Of every layer; statements about no KMS action are left out.
    pub(super) statements: Vec<Stated>,
    /// The grants of the documents.
    pub(super) grants: Vec<Granted>,
}

/// A statement.
pub(super) struct Stated {
    /// The kind of policy.
    pub(super) layer: Layer,
    /// The first that carries the policy: a key, user, role, endpoint or account.
    pub(super) carrier: Box<str>,
    /// How many others carry it, or an equal one.
    pub(super) others: usize,
    /// Name or ARN of the policy.
    pub(super) policy_id: Box<str>,
    /// The policy.
    pub(super) policy: Arc<Policy>,
    /// Position of the statement, from 0.
    pub(super) index: usize,
    /// The statement.
    pub(super) statement: Arc<Statement>,
    /// Where it stands; the default key policy stands nowhere.
    pub(super) place: Option<Place>,
    /// Whether it took effect in a case.
    pub(super) touched: bool,
    /// Its conditions; a `Null` test counts with the other conditions on its key.
    pub(super) conditions: Vec<Conditioned>,
}

/// A condition.
pub(super) struct Conditioned {
    /// Its positions among the conditions of the statement: its own, then that of `Null` tests on
    /// the same key.
    pub(super) positions: Vec<usize>,
    /// The operator.
    pub(super) operator: Box<str>,
    /// The key.
    pub(super) key: Box<str>,
    /// Where it stands.
    pub(super) place: Option<Place>,
    /// What the cases saw.
    pub(super) touch: ConditionTouch,
}

impl Conditioned {
    /// Whether cases saw it both hold and make the difference.
    pub(super) fn touched(&self) -> bool {
        self.touch.held && self.touch.kept
    }
}

/// A grant.
pub(super) struct Granted {
    /// ARN of its key.
    pub(super) key_arn: Box<str>,
    /// Its id.
    pub(super) id: Box<str>,
    /// Its name.
    pub(super) name: Option<Box<str>>,
    /// Document and line.
    pub(super) place: Option<(String, u32)>,
    /// Whether it applied in a case.
    pub(super) touched: bool,
}

/// How many of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Share {
    /// Touched.
    pub(super) touched: usize,
    /// All.
    pub(super) all: usize,
}

impl Share {
    fn of(touched: impl Iterator<Item = bool>) -> Self {
        touched.fold(Self { touched: 0, all: 0 }, |share, touched| Self {
            touched: share.touched + usize::from(touched),
            all: share.all + 1,
        })
    }

    /// Whether nothing is left.
    pub(super) fn is_whole(self) -> bool {
        self.touched == self.all
    }
}

impl Coverage {
    /// What `trace` touched of a set in a folder.
    pub(super) fn new(snapshot: &Snapshot, trace: &Trace, places: &Places, folder: &Path) -> Self {
        let within = |place: &Place| Place {
            document: folder.join(&*place.document).display().to_string().into(),
            ..place.clone()
        };
        let mut statements: Vec<Stated> = Vec::new();
        let mut known: HashMap<StatementId, usize> = HashMap::new();
        for carried in snapshot.policies.carried() {
            let placed = places.statements(&carried.policy);
            for (index, statement) in carried.policy.statements().enumerate() {
                if statement.actions.is_empty() {
                    continue;
                }
                let id = StatementId::of(&carried.policy, statement);
                if let Some(known) = known.get(&id).and_then(|at| statements.get_mut(*at)) {
                    known.others += 1;
                    continue;
                }
                known.insert(id, statements.len());
                let touch = trace.statements.get(&id);
                let placed = placed.get(index);
                let conditions = conditions(statement, |position| {
                    let place =
                        placed.and_then(|placed| placed.conditions.get(position)).map(within);
                    let touch = touch.and_then(|touch| touch.conditions.get(position));
                    (place, touch.copied().unwrap_or_default())
                });
                statements.push(Stated {
                    layer: carried.layer,
                    carrier: carried.carrier.clone(),
                    others: 0,
                    policy_id: carried.id.clone(),
                    policy: Arc::clone(&carried.policy),
                    index,
                    statement: Arc::clone(statement),
                    place: placed.map(|placed| within(&placed.place)),
                    touched: touch.is_some_and(|touch| touch.effective),
                    conditions,
                });
            }
        }
        let mut grants: Vec<Granted> = snapshot
            .grants
            .documents
            .iter()
            .map(|grant| Granted {
                key_arn: grant.key_arn.clone(),
                id: grant.id.clone(),
                name: grant.name.clone(),
                place: grant.origin.as_ref().map(|(document, line)| {
                    (folder.join(&**document).display().to_string(), *line)
                }),
                touched: trace
                    .grants
                    .get(&(grant.key_arn.clone(), grant.id.clone()))
                    .copied()
                    .unwrap_or_default(),
            })
            .collect();
        grants.sort_by(|a, b| (&a.key_arn, &a.id).cmp(&(&b.key_arn, &b.id)));
        Self { statements, grants }
    }

    /// Of the statements.
    pub(super) fn stated(&self) -> Share {
        Share::of(self.statements.iter().map(|stated| stated.touched))
    }

    /// Of the conditions.
    pub(super) fn conditioned(&self) -> Share {
        let conditions = self.statements.iter().flat_map(|stated| &stated.conditions);
        Share::of(conditions.map(Conditioned::touched))
    }

    /// Of the grants.
    pub(super) fn granted(&self) -> Share {
        Share::of(self.grants.iter().map(|granted| granted.touched))
    }

    /// Whether the cases touched everything.
    pub(super) fn is_whole(&self) -> bool {
        [self.stated(), self.conditioned(), self.granted()].into_iter().all(Share::is_whole)
    }
}

/// The conditions of a statement. `Null` beside another test of the same key guards that one: the
/// two are one condition.
fn conditions(
    statement: &Statement,
    seen: impl Fn(usize) -> (Option<Place>, ConditionTouch),
) -> Vec<Conditioned> {
    let is_null = |position: usize| {
        statement.conditions.get(position).is_some_and(|one| matches!(one.test, Test::Null(_)))
    };
    let mut found = Vec::new();
    for (position, condition) in statement.conditions.iter().enumerate() {
        let same_key = |other: &usize| {
            *other != position
                && statement
                    .conditions
                    .get(*other)
                    .is_some_and(|one| condition.key.is(&one.key.name))
        };
        let others = || (0..statement.conditions.len()).filter(same_key);
        if is_null(position) && others().any(|other| !is_null(other)) {
            continue;
        }
        let (place, touch) = seen(position);
        found.push(Conditioned {
            positions: std::iter::once(position)
                .chain(others().filter(|other| is_null(*other)))
                .collect(),
            operator: condition.operator.clone(),
            key: condition.key.name.clone(),
            place,
            touch,
        });
    }
    found
}
