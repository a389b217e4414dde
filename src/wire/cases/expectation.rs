//! A case: a request, and what must be decided. One reader for every form it is written in.

use super::members::{TAKINGS, Taking, Wrong, text};
use crate::engine::decide::decide;
use crate::engine::decide::decision::{Answer, Verdict};
use crate::engine::decide::reason::REASONS;
use crate::engine::json::{Json, Member, Span};
use crate::engine::problem::{Place, Problem};
use crate::engine::snapshot::Snapshot;
use crate::engine::term::request::{InvalidRequest, Request};
use crate::engine::term::time::Timestamp;
use crate::wire::proto::request::request;
use crate::wire::v1;

/// A request, and what must be decided.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Its name: a sentence that must hold.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// The request.
    pub message: v1::AuthorizeRequest,
    /// The instant of the decision, when the case names one.
    pub now: Option<Timestamp>,
    /// The decision.
    pub decision: Verdict,
    /// The reason, when the case names one.
    pub reason: Option<String>,
}

/// What came out of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was expected.
    Holds,
    /// Something else, in words.
    Fails(String),
}

/// Where a span of the text stands that a case was read from.
pub type Places<'p> = &'p dyn Fn(Span) -> Place;

impl Expectation {
    /// Reads a case.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, errors alone.
    pub fn read(case: &Json<'_>, places: Places<'_>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut report = |(message, span): Wrong| {
            let help = "a case has name, principal, action, key and expect: {decision, reason?}; it may have \
                        encryption_context, context, parameters, now and more";
            problems.push(Problem::error("bad-case", message).help(help).at(places(span)));
        };
        let Some(members) = case.as_object() else {
            report((format!("a case is an object, not {}", case.in_words()), case.span));
            return Err(problems);
        };
        let mut message = v1::AuthorizeRequest::default();
        let (mut name, mut now, mut expected) = (None, None, None);
        for member in members {
            let taken = match &*member.name {
                "name" => text(&member.value).map(|text| name = Some(text)),
                "now" => instant(&member.value).map(|instant| now = Some(instant)),
                "expect" => expectation(&member.value).map(|found| expected = Some(found)),
                other => match TAKINGS.iter().find(|taking| taking.name == other) {
                    Some(Taking { take, .. }) => take(&member.value, &mut message)
                        .map_err(|(message, span)| (format!("`{other}`: {message}"), span)),
                    None => Err(unknown(member)),
                },
            };
            taken.unwrap_or_else(&mut report);
        }
        for required in ["name", "principal", "action", "expect"] {
            if !members.iter().any(|member| member.name == required) {
                report((format!("the case has no `{required}`"), case.span));
            }
        }
        if let (true, Err(error)) = (problems.is_empty(), request(&message, Timestamp::new(0, 0))) {
            let mut report = |wrong: Wrong| {
                problems.push(Problem::error("bad-case", wrong.0).at(places(wrong.1)));
            };
            report(invalid(&error, case, members));
        }
        match (name, expected) {
            (Some(name), Some((decision, reason))) if problems.is_empty() => {
                Ok(Self { name, place: places(case.span), message, now, decision, reason })
            }
            _ => Err(problems),
        }
    }

    /// The request of the case. `now` is the instant of a case that names none.
    ///
    /// # Errors
    ///
    /// The field that is wrong.
    pub fn request(&self, now: Timestamp) -> Result<Request<'_>, InvalidRequest> {
        request(&self.message, self.now.unwrap_or(now))
    }

    /// Asks, and compares. `now` is the instant of a case that names none.
    #[must_use]
    pub fn check(&self, snapshot: &Snapshot, now: Timestamp) -> Outcome {
        let request = match self.request(now) {
            Ok(request) => request,
            Err(error) => return not_asked(&error),
        };
        match decide(snapshot, &request) {
            Ok(answer) => self.compare(&answer),
            Err(error) => not_asked(&error),
        }
    }

    /// Compares an answer with what is expected.
    #[must_use]
    pub fn compare(&self, answer: &Answer<'_>) -> Outcome {
        let (decision, reason) = (answer.verdict(), answer.reason());
        let as_expected = decision == self.decision
            && self.reason.as_deref().is_none_or(|expected| expected == reason);
        if as_expected {
            return Outcome::Holds;
        }
        let said = answer.message().map(|message| format!(": {message}")).unwrap_or_default();
        Outcome::Fails(format!(
            "expected {}, decided {} ({reason}){said}",
            self.expected(),
            decision.name()
        ))
    }

    /// What is expected, in words: `allowed (grant)`.
    #[must_use]
    pub fn expected(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{} ({reason})", self.decision.name()),
            None => self.decision.name().to_owned(),
        }
    }
}

/// What comes out of a case whose request does not fit the set.
#[must_use]
pub fn not_asked(error: &InvalidRequest) -> Outcome {
    Outcome::Fails(format!("the request is not valid: `{}`: {}", error.field, error.message))
}

fn unknown(member: &Member<'_>) -> Wrong {
    let all = TAKINGS.iter().map(|taking| taking.name).chain(["name", "now", "expect"]);
    let close = all
        .map(|known| (distance(known, &member.name), known))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let hint = close.map(|(_, known)| format!("; did you mean `{known}`?")).unwrap_or_default();
    (format!("unknown member `{}`{hint}", member.name), member.name_span)
}

/// How many letters differ; for short texts.
fn distance(known: &str, found: &str) -> usize {
    if known.len().abs_diff(found.len()) > 2 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=found.len()).collect();
    for (line, wanted) in known.bytes().enumerate() {
        let mut before = line;
        let mut last = line + 1;
        for (cell, byte) in row.iter_mut().zip(std::iter::once(None).chain(found.bytes().map(Some)))
        {
            let above = *cell;
            *cell = match byte {
                None => line + 1,
                Some(byte) => (before + usize::from(byte != wanted)).min(above + 1).min(last + 1),
            };
            before = above;
            last = *cell;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

fn instant(json: &Json<'_>) -> Result<Timestamp, Wrong> {
    let written = text(json).map_err(|(message, span)| (format!("`now`: {message}"), span))?;
    Timestamp::parse(&written).ok_or_else(|| {
        let message = format!(
            "`now` is no instant: `{written}`; expected one such as `2026-01-01T12:00:00Z`"
        );
        (message, json.span)
    })
}

/// `{decision, reason?}`.
fn expectation(json: &Json<'_>) -> Result<(Verdict, Option<String>), Wrong> {
    let named = |(message, span): Wrong| (format!("`expect`: {message}"), span);
    let members = json.as_object().ok_or_else(|| {
        ("`expect` is not an object such as `{decision: allowed}`".to_owned(), json.span)
    })?;
    if let Some(member) =
        members.iter().find(|member| !["decision", "reason"].contains(&&*member.name))
    {
        return Err((format!("unknown member `expect.{}`", member.name), member.name_span));
    }
    let decision = json
        .member("decision")
        .ok_or_else(|| ("`expect` has no `decision`".to_owned(), json.span))?;
    let written = text(decision).map_err(named)?;
    let all = [Verdict::Allowed, Verdict::KeyState, Verdict::ImplicitDeny, Verdict::ExplicitDeny];
    let verdict = all.into_iter().find(|verdict| verdict.name() == written).ok_or_else(|| {
        let message = format!(
            "`expect.decision` is `{written}`, expected allowed, explicitDeny, implicitDeny or keyState"
        );
        (message, decision.span)
    })?;
    let Some(reason) = json.member("reason") else { return Ok((verdict, None)) };
    let written = text(reason).map_err(named)?;
    if !REASONS.contains(&&*written) {
        let message =
            format!("`expect.reason` is `{written}`, expected one of {}", REASONS.join(", "));
        return Err((message, reason.span));
    }
    Ok((verdict, Some(written)))
}

/// An invalid request, at the member of the case that it comes from.
fn invalid(error: &InvalidRequest, case: &Json<'_>, members: &[Member<'_>]) -> Wrong {
    let from = TAKINGS
        .iter()
        .filter(|taking| error.field.starts_with(taking.field))
        .max_by_key(|taking| taking.field.len())
        .or_else(|| {
            TAKINGS
                .iter()
                .find(|taking| error.field.contains("context") && taking.name == "context")
        })
        .and_then(|taking| members.iter().find(|member| member.name == taking.name));
    let span = from.map_or(case.span, |member| member.value.span);
    (format!("the request is not valid: `{}`: {}", error.field, error.message), span)
}
