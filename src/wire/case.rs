//! `keyward simulate`: a case a line, an answer a line.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::cases::assertions::verify;
use super::proto::json::read as read_message;
use super::proto::request::request;
use super::v1;
use crate::engine::bundle::{Document, Limits, Options};
use crate::engine::decide::decide;
use crate::engine::decide::decision::Answer;
use crate::engine::evaluation::Evaluation;
use crate::engine::json::{self, Json, Member, Source};
use crate::engine::problem::{Problem, Problems};
use crate::engine::snapshot::Snapshot;
use crate::engine::snapshot::build::build;
use crate::engine::term::condition_key::has_form;
use crate::engine::term::request::{InvalidRequest, Override, OverrideValue, Request};
use crate::engine::term::time::Timestamp;

/// Bounds of a line.
const LIMITS: Limits = Limits { document_bytes: 64 * 1024 * 1024, depth: 128 };

/// The members that decide a case; others are ignored.
const MEMBERS: [&str; 5] = ["contextOverrides", "documents", "now", "options", "request"];

/// A case, read.
pub struct Case {
    /// What it asks.
    pub message: v1::AuthorizeRequest,
    /// The instant of the decision.
    pub now: Timestamp,
    /// Condition keys that are replaced.
    pub overrides: Vec<Override>,
    /// The policy set.
    pub snapshot: Snapshot,
}

/// Why a case has no answer.
#[derive(Debug)]
pub enum Refusal {
    /// Its documents are no policy set.
    Policy(Vec<Problem>),
    /// Its request is not valid.
    Request(InvalidRequest),
    /// It is not a case.
    Case(Vec<Problem>),
}

impl Refusal {
    fn case(message: impl Into<String>) -> Self {
        Self::Case(vec![Problem::error("bad-case", message)])
    }
}

/// Answers one line. `now` is the instant of cases that name none.
#[must_use]
pub fn answer(line: &str, now: Timestamp) -> Value {
    let source = Source::new("case".into(), line);
    let mut problems = Vec::new();
    let Some(json) = json::read(&source, &LIMITS, &mut problems) else {
        return refused(Value::Null, &Refusal::Case(problems));
    };
    let id = json.member("id").map_or(Value::Null, |id| plain(source.slice(id.span)));
    let found = match read(&json, &source, now) {
        Ok(case) => decided(&case),
        Err(refusal) => Err(refusal),
    };
    match found {
        Ok(mut members) => {
            members.insert("id".to_owned(), id);
            Value::Object(members)
        }
        Err(refusal) => refused(id, &refusal),
    }
}

/// A value of the line, as serde knows it.
fn plain(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or(Value::Null)
}

/// Reads a case.
///
/// # Errors
///
/// What is wrong with it.
pub fn read(json: &Json<'_>, source: &Source<'_>, now: Timestamp) -> Result<Case, Refusal> {
    if json.as_object().is_none() {
        return Err(Refusal::case("a case is a JSON object"));
    }
    for member in json.as_object().unwrap_or_default() {
        let misspelt =
            |known: &&&str| member.name != **known && member.name.eq_ignore_ascii_case(known);
        if let Some(known) = MEMBERS.iter().find(misspelt) {
            let message = format!("`{}` is not `{known}`: the case of names counts", member.name);
            return Err(Refusal::case(message));
        }
    }
    let now = match json.member("now").map(Json::as_text) {
        None => now,
        Some(Some(text)) => Timestamp::parse(text)
            .ok_or_else(|| Refusal::case(format!("`now` is no instant: `{text}`")))?,
        Some(None) => return Err(Refusal::case("`now` is not a text")),
    };
    let message = match json.member("request") {
        Some(request) => read_message("AuthorizeRequest", source.slice(request.span))
            .map_err(|message| Refusal::Request(InvalidRequest::new("request", message)))?,
        None => return Err(Refusal::case("the case has no `request`")),
    };
    let overrides = json.member("contextOverrides").map(overrides).transpose()?.unwrap_or_default();
    let evaluation = json.member("options").map(evaluation).transpose()?.unwrap_or_default();
    let snapshot = snapshot(json.member("documents"), source, evaluation, now)?;
    Ok(Case { message, now, overrides, snapshot })
}

impl Case {
    /// The request of the case, checked.
    ///
    /// # Errors
    ///
    /// The field that is wrong.
    pub fn request(&self) -> Result<Request<'_>, InvalidRequest> {
        let mut request = request(&self.message, self.now)?;
        request.overrides.clone_from(&self.overrides);
        Ok(request)
    }
}

fn members<'j, 'a>(json: &'j Json<'a>, name: &str) -> Result<&'j [Member<'a>], Refusal> {
    json.as_object().ok_or_else(|| Refusal::case(format!("`{name}` is not an object")))
}

fn overrides(json: &Json<'_>) -> Result<Vec<Override>, Refusal> {
    let bad = |name: &str| {
        let message = "expected a text, a list of texts, or null for absent";
        Refusal::Request(InvalidRequest::new(format!("contextOverrides[\"{name}\"]"), message))
    };
    let one = |member: &Member<'_>| {
        if !has_form(&member.name) {
            let field = format!("contextOverrides[\"{}\"]", member.name);
            let message = "it is no condition key: expected the form `prefix:name`";
            return Err(Refusal::Request(InvalidRequest::new(field, message)));
        }
        let value = if member.value.is_null() {
            OverrideValue::Absent
        } else if let Some(text) = member.value.as_text() {
            OverrideValue::One(text.to_owned())
        } else {
            let items = member.value.as_list().ok_or_else(|| bad(&member.name))?;
            let texts: Option<Vec<String>> =
                items.iter().map(|item| item.as_text().map(str::to_owned)).collect();
            match texts.ok_or_else(|| bad(&member.name))? {
                texts if texts.is_empty() => OverrideValue::Absent,
                texts => OverrideValue::Many(texts),
            }
        };
        Ok(Override { name: member.name.to_lowercase(), value })
    };
    let overrides: Vec<Override> =
        members(json, "contextOverrides")?.iter().map(one).collect::<Result<_, _>>()?;
    distinct(overrides).map_err(Refusal::Request)
}

/// Overrides of which none is for the same key as another.
pub(super) fn distinct(overrides: Vec<Override>) -> Result<Vec<Override>, InvalidRequest> {
    let twice = overrides.iter().enumerate().find(|(index, found)| {
        overrides.iter().take(*index).any(|earlier| earlier.name == found.name)
    });
    match twice {
        Some((_, found)) => Err(InvalidRequest::new(
            format!("contextOverrides[\"{}\"]", found.name),
            "given twice: names ignore case",
        )),
        None => Ok(overrides),
    }
}

fn evaluation(json: &Json<'_>) -> Result<Evaluation, Refusal> {
    let mut evaluation = Evaluation::default();
    let bare = |member: &Member<'_>| {
        member.name.strip_prefix("evaluation.").unwrap_or(&member.name).to_owned()
    };
    let options = members(json, "options")?;
    for (index, member) in options.iter().enumerate() {
        let name = bare(member);
        if options.iter().take(index).any(|earlier| bare(earlier) == name) {
            return Err(Refusal::case(format!("`options.{name}` is given twice")));
        }
        let value = match (member.value.as_text(), member.value.as_bool()) {
            (Some(text), _) => text,
            (None, Some(true)) => "true",
            (None, Some(false)) => "false",
            (None, None) => {
                return Err(Refusal::case(format!(
                    "`options.{name}` is neither a text nor a truth value"
                )));
            }
        };
        evaluation.set(&name, value).map_err(|error| Refusal::case(error.to_string()))?;
    }
    Ok(evaluation)
}

fn snapshot(
    documents: Option<&Json<'_>>,
    source: &Source<'_>,
    evaluation: Evaluation,
    now: Timestamp,
) -> Result<Snapshot, Refusal> {
    let items = match documents {
        None => &[],
        Some(json) => json.as_list().ok_or_else(|| Refusal::case("`documents` is not a list"))?,
    };
    let documents: Vec<Document> = items
        .iter()
        .enumerate()
        .map(|(index, item)| Document {
            name: format!("documents[{index}]").into(),
            text: Arc::from(source.slice(item.span)),
        })
        .collect();
    let options = Options { allow_empty: true, evaluation, ..Options::default() };
    let refused = |problems: &Problems| Refusal::Policy(problems.as_slice().to_vec());
    let built = build(&documents, &options).map_err(|problems| refused(&problems))?;
    match Problems::refusing(verify(&built, now)) {
        Some(problems) => Err(refused(&problems)),
        None => Ok(built.snapshot),
    }
}

fn decided(case: &Case) -> Result<Map<String, Value>, Refusal> {
    let request = case.request().map_err(Refusal::Request)?;
    let answer = decide(&case.snapshot, &request).map_err(Refusal::Request)?;
    Ok(outcome(&answer))
}

/// An answer as `keyward simulate` writes it, without the id.
#[must_use]
pub fn outcome(answer: &Answer<'_>) -> Map<String, Value> {
    let matched: Vec<Value> = answer
        .matched()
        .iter()
        .map(|by| {
            let sid = by.statement.and_then(|statement| statement.sid.as_deref());
            json!({"policyType": by.layer.name(), "policyId": by.policy_id, "sid": sid})
        })
        .collect();
    let legs: Vec<Value> = answer
        .legs
        .iter()
        .filter(|_| answer.by_operation)
        .map(|leg| {
            json!({"action": leg.action.name(), "resource": &*leg.resource, "decision": leg.decision.verdict().name(),
                "errorCode": leg.error_code()})
        })
        .collect();
    let mut members = Map::new();
    members.insert("decision".to_owned(), answer.verdict().name().into());
    members.insert("errorCode".to_owned(), answer.error_code().into());
    members.insert("message".to_owned(), answer.message().into());
    members.insert("matchedStatements".to_owned(), matched.into());
    members.insert("legs".to_owned(), legs.into());
    members
}

fn refused(id: Value, refusal: &Refusal) -> Value {
    let (kind, problems) = match refusal {
        Refusal::Policy(problems) => ("invalidPolicy", problems.iter().map(problem).collect()),
        Refusal::Case(problems) => ("invalidCase", problems.iter().map(problem).collect()),
        Refusal::Request(error) => (
            "invalidRequest",
            vec![
                json!({"code": "invalid-request", "message": error.message, "field": error.field}),
            ],
        ),
    };
    json!({"id": id, "error": {"kind": kind, "problems": Value::Array(problems)}})
}

fn problem(problem: &Problem) -> Value {
    let mut json = json!({"severity": problem.severity.name(), "code": problem.code, "message": problem.message});
    if let (Some(place), Value::Object(members)) = (&problem.place, &mut json) {
        members.insert("document".to_owned(), (&*place.document).into());
        members.insert("line".to_owned(), place.line.into());
        members.insert("column".to_owned(), place.column.into());
    }
    json
}
