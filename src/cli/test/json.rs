//! A run, for programs.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Report;
use super::covered::{Conditioned, Coverage, Granted, Share, Stated};
use super::mutants::{Change, Mutants};
use super::running::Ran;
use super::text::change_in_words;
use crate::engine::problem::Place;
use crate::wire::cases::expectation::Outcome;
use crate::wire::proto::json::write as message;

/// Writes one object.
pub(super) fn write(report: &Report, out: &mut impl Write) -> io::Result<()> {
    let (failed, all) = (report.failed(), report.ran.len());
    let coverage = &report.coverage;
    let report = json!({
        "summary": {
            "cases": all,
            "passed": all - failed,
            "failed": failed,
            "statements": share(coverage.stated()),
            "conditions": share(coverage.conditioned()),
            "grants": share(coverage.granted()),
        },
        "cases": report.ran.iter().map(case).collect::<Value>(),
        "coverage": {
            "statements": coverage.statements.iter().map(statement).collect::<Value>(),
            "grants": coverage.grants.iter().map(grant).collect::<Value>(),
        },
        "mutants": report.mutants.as_ref().map(|mutants| changes(mutants, coverage)),
    });
    writeln!(out, "{report}")
}

fn share(share: Share) -> Value {
    json!({"touched": share.touched, "all": share.all})
}

fn case(ran: &Ran) -> Value {
    let case = &ran.case;
    let problem = match &ran.outcome {
        Outcome::Holds => None,
        Outcome::Fails(message) => Some(message),
    };
    let response = ran.response.as_ref();
    json!({
        "name": case.name,
        "place": place(&case.place),
        "holds": ran.holds(),
        "expected": {"decision": case.decision.name(), "reason": case.reason},
        "decided": ran.decided.map(|(decision, reason)| json!({"decision": decision.name(), "reason": reason})),
        "problem": problem,
        "explanation": response.and_then(|response| response.explanation.as_ref()).and_then(|explanation| {
            message("Explanation", explanation).ok()
        }),
    })
}

fn place(place: &Place) -> Value {
    json!({"document": &*place.document, "line": place.line, "column": place.column})
}

fn statement(stated: &Stated) -> Value {
    json!({
        "policyType": stated.layer.name(),
        "carrier": stated.carrier,
        "otherCarriers": stated.others,
        "policyId": stated.policy_id,
        "sid": stated.statement.sid,
        "index": stated.index,
        "effect": stated.statement.effect.name(),
        "place": stated.place.as_ref().map(place),
        "touched": stated.touched,
        "conditions": stated.conditions.iter().map(condition).collect::<Value>(),
    })
}

fn condition(condition: &Conditioned) -> Value {
    json!({
        "operator": condition.operator,
        "key": condition.key,
        "place": condition.place.as_ref().map(place),
        "held": condition.touch.held,
        "keptOut": condition.touch.kept,
        "touched": condition.touched(),
    })
}

fn grant(granted: &Granted) -> Value {
    let place = granted.place.as_ref();
    json!({
        "keyArn": granted.key_arn,
        "grantId": granted.id,
        "name": granted.name,
        "place": place.map(|(document, line)| json!({"document": document, "line": line, "column": 1})),
        "touched": granted.touched,
    })
}

fn changes(mutants: &Mutants, coverage: &Coverage) -> Value {
    let survivor = |change: &Change| {
        let (kind, subject) = match *change {
            Change::Flip { statement } => {
                ("flip", coverage.statements.get(statement).map(self::statement))
            }
            Change::Drop { statement, condition } => {
                let found = coverage.statements.get(statement);
                let dropped = found.and_then(|stated| stated.conditions.get(condition));
                let subject = found.map(|stated| {
                    json!({"statement": self::statement(stated), "condition": dropped.map(self::condition)})
                });
                ("drop-condition", subject)
            }
            Change::Revoke { grant } => ("drop-grant", coverage.grants.get(grant).map(self::grant)),
        };
        json!({"kind": kind, "subject": subject, "inWords": change_in_words(*change, coverage)})
    };
    json!({
        "all": mutants.all,
        "tried": mutants.tried,
        "noticed": mutants.tried - mutants.survivors.len(),
        "survivors": mutants.survivors.iter().map(survivor).collect::<Value>(),
    })
}
