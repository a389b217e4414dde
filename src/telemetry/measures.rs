//! What is counted and measured of decisions and calls.

use super::call::{CODES, Call, Method, Timer};
use super::clock;
use super::counters::{Counters, Histograms};
use super::metrics::{Family, Kind, Labels, Point, Value};
use crate::engine::decide::decision::Verdict;
use crate::engine::decide::reason::Reason;
use crate::engine::kms::action::Action;
use crate::engine::kms::operation::Operation;
use crate::engine::term::request::Asked;
use crate::wire::record::Decided;

/// The decisions in the order of their numbers.
pub(super) const VERDICTS: [Verdict; 4] =
    [Verdict::Allowed, Verdict::KeyState, Verdict::ImplicitDeny, Verdict::ExplicitDeny];

/// Actions that are counted apart: all, and the operation ReEncrypt.
const ACTIONS: usize = Action::ALL.len() + 1;

/// What is counted and measured.
#[derive(Debug)]
pub(super) struct Measures {
    decisions: Counters,
    authorize: Histograms,
    evaluate: Histograms,
    calls: Histograms,
}

impl Measures {
    pub(super) fn new() -> Self {
        Self {
            decisions: Counters::new(VERDICTS.len() * ACTIONS * Reason::ALL.len()),
            authorize: Histograms::new(VERDICTS.len()),
            evaluate: Histograms::new(1),
            calls: Histograms::new(Method::ALL.len() * CODES.len()),
        }
    }

    pub(super) fn decided(&self, decided: &Decided<'_>, started: Timer, evaluating: Timer) {
        let now = clock::instant();
        let verdict = decided.answer.verdict() as usize;
        let action = match decided.request.asked {
            Asked::Action(action) | Asked::Operation(Operation::Named(action)) => action as usize,
            Asked::Operation(Operation::ReEncrypt) => ACTIONS - 1,
        };
        let reason = decided.answer.reason_code() as usize;
        self.decisions.add((verdict * ACTIONS + action) * Reason::ALL.len() + reason, 1);
        self.authorize.record(verdict, started.until(now));
        self.evaluate.record(0, evaluating.until(now));
    }

    pub(super) fn answered(&self, call: &Call, code: i32) {
        let code = usize::try_from(code).ok().filter(|code| *code < CODES.len()).unwrap_or(2);
        let index = call.method as usize * CODES.len() + code;
        self.calls.record(index, call.started.until(clock::instant()));
    }
}

/// The name of an action that is counted apart.
fn action_name(index: usize) -> &'static str {
    Action::ALL.get(index).map_or("kms:ReEncrypt", |action| action.name())
}

impl Measures {
    /// The metrics; of decisions and calls those that occurred.
    pub(super) fn families(&self) -> Vec<Family> {
        vec![
            Family::new(
                Kind::Counter,
                "keyward.decisions",
                "{decision}",
                "Decisions, by what was decided, the action, and the reason.",
                self.decisions(),
            ),
            Family::new(
                Kind::Histogram,
                "keyward.authorize.duration",
                "s",
                "From a question, decoded, to its decision.",
                durations(&self.authorize, |index| {
                    let verdict = VERDICTS.get(index)?;
                    Some(vec![("decision", verdict.name().into())])
                }),
            ),
            Family::new(
                Kind::Histogram,
                "keyward.evaluate.duration",
                "s",
                "Evaluation of policies and grants for one question.",
                durations(&self.evaluate, |index| (index == 0).then(Vec::new)),
            ),
            Family::new(
                Kind::Histogram,
                "rpc.server.call.duration",
                "s",
                "Calls; each message of an authorization stream counts as a call.",
                durations(&self.calls, |index| {
                    let method = Method::ALL.get(index / CODES.len())?;
                    let code = CODES.get(index % CODES.len())?;
                    Some(vec![
                        ("rpc.system.name", "grpc".into()),
                        ("rpc.method", method.name().into()),
                        ("rpc.response.status_code", (*code).into()),
                    ])
                }),
            ),
        ]
    }

    fn decisions(&self) -> Vec<Point> {
        let mut points = Vec::new();
        let mut index = 0;
        for verdict in VERDICTS {
            for action in 0..ACTIONS {
                for reason in Reason::ALL {
                    let count = self.decisions.get(index);
                    index += 1;
                    if count > 0 {
                        let labels = vec![
                            ("decision", verdict.name().into()),
                            ("action", action_name(action).into()),
                            ("reason", reason.name().into()),
                        ];
                        points.push(Point::count(labels, count));
                    }
                }
            }
        }
        points
    }
}

/// The histograms that have something in them.
fn durations(histograms: &Histograms, labels: impl Fn(usize) -> Option<Labels>) -> Vec<Point> {
    let mut points = Vec::new();
    let mut index = 0;
    while let Some(labels) = labels(index) {
        let found = histograms.get(index);
        if found.count() > 0 {
            points.push(Point { labels, value: Value::Durations(found) });
        }
        index += 1;
    }
    points
}
