//! What is handed to the decision log: the record of a decision, and of the change that it allowed.

use super::call::{Call, Method};
use super::log::{About, DecisionLog, Pending};
use super::{clock, random, trace};
use crate::engine::decide::decision::Verdict;
use crate::engine::decide::reason::Reason;
use crate::wire::record::change::{Draft, GrantChange};
use crate::wire::record::{Decided, Origin, action_name, record};

/// Longer records are written without the parameters of the request.
const LONGEST: usize = 1024 * 1024;

/// A trace and a span, as numbers.
type Numbers = (u128, u64);

/// Gives the record of a decision to the log, if it is one that is recorded. Without a span it
/// carries the numbers of the caller's.
pub(super) fn decision(
    log: &DecisionLog,
    call: &Call,
    traced: Option<Numbers>,
    decided: &Decided<'_>,
) -> Pending {
    let settings = &log.settings;
    let about = told(decided);
    let (verdict, action, _) = about;
    if !settings.filter.admits(verdict, action, random::unit) {
        return Pending::none();
    }
    let numbers = traced.or_else(|| of_caller(call));
    let ids = numbers.map(in_text);
    let mut origin = Origin {
        method: call.method.name(),
        caller: call.caller.as_deref(),
        trace: ids.as_ref().map(|(trace, span)| (&**trace, &**span)),
        sample_ratio: settings.filter.ratio(verdict),
        ..Origin::default()
    };
    let mut body = record(decided, &origin, &settings.masks);
    if body.len() > LONGEST {
        origin.shortened = true;
        body = record(decided, &origin, &settings.masks);
    }
    let (trace, span) = numbers.unwrap_or_default();
    let sampled = traced.is_some();
    let about = About { time: now(), trace, span, sampled, change: false, decided: Some(about) };
    log.offer(body, about)
}

/// What the record of a change will say, kept until the change is made.
#[derive(Debug)]
pub struct Intent {
    draft: Draft,
    about: About,
}

/// The record of the change that a decision allows, as far as it is known before it is made; of
/// changes that are recorded. Changes are not sampled.
pub(super) fn intent(log: &DecisionLog, call: &Call, decided: &Decided<'_>) -> Option<Intent> {
    let changes =
        matches!(call.method, Method::CreateGrant | Method::RetireGrant | Method::RevokeGrant);
    let about = told(decided);
    let (verdict, action, _) = about;
    if !changes || !log.settings.filter.admits_changes(verdict, action) {
        return None;
    }
    let traced = call.span.as_ref().map(trace::numbers);
    let numbers = traced.or_else(|| of_caller(call));
    let ids = numbers.map(in_text);
    let origin = Origin {
        method: call.method.name(),
        caller: call.caller.as_deref(),
        trace: ids.as_ref().map(|(trace, span)| (&**trace, &**span)),
        ..Origin::default()
    };
    let draft = Draft::of(decided, &origin, &log.settings.masks);
    let (trace, span) = numbers.unwrap_or_default();
    let sampled = traced.is_some();
    let about = About { time: 0, trace, span, sampled, change: true, decided: Some(about) };
    Some(Intent { draft, about })
}

/// Gives the record of a change to the log.
pub(super) fn change(log: &DecisionLog, intent: Intent, made: &GrantChange<'_>) -> Pending {
    let Intent { mut draft, about } = intent;
    draft.made(made);
    let mut body = draft.line();
    if body.len() > LONGEST {
        draft.shorten();
        body = draft.line();
    }
    log.offer(body, About { time: now(), ..about })
}

fn told(decided: &Decided<'_>) -> (Verdict, &'static str, Reason) {
    let answer = decided.answer;
    (answer.verdict(), action_name(decided.request.asked), answer.reason_code())
}

fn of_caller(call: &Call) -> Option<Numbers> {
    call.parent.as_ref().map(|parent| (parent.trace, parent.span))
}

fn in_text((trace, span): Numbers) -> (String, String) {
    (format!("{trace:032x}"), format!("{span:016x}"))
}

fn now() -> u64 {
    u64::try_from(clock::since_epoch().as_nanos()).unwrap_or(u64::MAX)
}
