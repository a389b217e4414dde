//! Cases with an expectation, as `Assertions` of a set and as the files of policy tests.

use serde_json::{Map, Value, json};

use super::proto::json::read as read_message;
use super::proto::request::request;
use super::v1;
use crate::engine::decide::decide;
use crate::engine::decide::decision::Verdict;
use crate::engine::problem::Problem;
use crate::engine::snapshot::Snapshot;
use crate::engine::snapshot::build::Built;
use crate::engine::term::time::Timestamp;

/// Members of a case that go into the request: theirs, and the request's.
const REQUEST: [(&str, &str); 8] = [
    ("action", "action"),
    ("key", "keyId"),
    ("region", "region"),
    ("encryption_context", "encryptionContext"),
    ("grant_tokens", "grantTokens"),
    ("via_service", "viaService"),
    ("parameters", "parameters"),
    ("dry_run", "dryRun"),
];

/// Members of a case that go into the request's principal.
const PRINCIPAL: [(&str, &str); 7] = [
    ("principal", "arn"),
    ("role_arn", "roleArn"),
    ("issuer_arn", "issuerArn"),
    ("tags", "tags"),
    ("session_policies", "sessionPolicies"),
    ("user_id", "userId"),
    ("source_identity", "sourceIdentity"),
];

/// A request, and what must be decided.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// Its name: a sentence that must hold.
    pub name: String,
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

impl Expectation {
    /// Reads a case.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn read(case: &Value) -> Result<Self, String> {
        let members = case.as_object().ok_or("a case is an object")?;
        for name in members.keys() {
            let known = REQUEST.iter().chain(&PRINCIPAL).any(|(member, _)| member == name);
            if !known && !["name", "now", "context", "expect"].contains(&name.as_str()) {
                return Err(format!("unknown member `{name}`"));
            }
        }
        let name = text(members, "name")?.ok_or("the case has no `name`")?.to_owned();
        let now = match text(members, "now")? {
            None => None,
            Some(text) => {
                Some(Timestamp::parse(text).ok_or(format!("`now` is no instant: `{text}`"))?)
            }
        };
        for required in ["principal", "action"] {
            text(members, required)?.ok_or(format!("the case has no `{required}`"))?;
        }
        let (decision, reason) =
            expected(members.get("expect").ok_or("the case has no `expect`")?)?;
        let message = read_message("AuthorizeRequest", &message(members)?.to_string())?;
        Ok(Self { name, message, now, decision, reason })
    }

    /// Asks, and compares. `now` is the instant of a case that names none.
    #[must_use]
    pub fn check(&self, snapshot: &Snapshot, now: Timestamp) -> Outcome {
        let invalid = |error: crate::engine::term::request::InvalidRequest| {
            Outcome::Fails(format!(
                "the request is not valid: `{}`: {}",
                error.field, error.message
            ))
        };
        let request = match request(&self.message, self.now.unwrap_or(now)) {
            Ok(request) => request,
            Err(error) => return invalid(error),
        };
        let answer = match decide(snapshot, &request) {
            Ok(answer) => answer,
            Err(error) => return invalid(error),
        };
        let (decision, reason) = (answer.verdict(), answer.reason());
        let as_expected = decision == self.decision
            && self.reason.as_deref().is_none_or(|expected| expected == reason);
        if as_expected {
            return Outcome::Holds;
        }
        let expected = match &self.reason {
            Some(reason) => format!("{} ({reason})", self.decision.name()),
            None => self.decision.name().to_owned(),
        };
        let said = answer.message().map(|message| format!(": {message}")).unwrap_or_default();
        Outcome::Fails(format!("expected {expected}, decided {} ({reason}){said}", decision.name()))
    }
}

/// Checks the `Assertions` of a set: every one that does not hold is a problem of the set.
#[must_use]
pub fn verify(built: &Built, now: Timestamp) -> Vec<Problem> {
    let check = |assertion: &crate::engine::snapshot::build::Assertion| {
        let case: Value = serde_json::from_str(&assertion.case).unwrap_or(Value::Null);
        let problem = match Expectation::read(&case) {
            Err(message) => Problem::error(
                "bad-assertion",
                format!("assertion `{}` cannot be read: {message}", assertion.name),
            )
            .help("an assertion has name, principal, action, key and expect: {decision}"),
            Ok(case) => match case.check(&built.snapshot, now) {
                Outcome::Holds => return None,
                Outcome::Fails(message) => Problem::error(
                    "assertion-failed",
                    format!("assertion `{}` does not hold: {message}", assertion.name),
                )
                .help(
                    "mend the policies, or the assertion: a set whose assertions fail is not used",
                ),
            },
        };
        Some(problem.at(assertion.place.clone()))
    };
    built.assertions.iter().filter_map(check).collect()
}

fn text<'j>(members: &'j Map<String, Value>, name: &str) -> Result<Option<&'j str>, String> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` is not a text")),
    }
}

/// `{decision, reason?}`.
fn expected(json: &Value) -> Result<(Verdict, Option<String>), String> {
    let members = json.as_object().ok_or("`expect` is not an object")?;
    if let Some(name) = members.keys().find(|name| !["decision", "reason"].contains(&name.as_str()))
    {
        return Err(format!("unknown member `expect.{name}`"));
    }
    let decision = text(members, "decision")?.ok_or("`expect` has no `decision`")?;
    let all = [Verdict::Allowed, Verdict::KeyState, Verdict::ImplicitDeny, Verdict::ExplicitDeny];
    let verdict = all.into_iter().find(|verdict| verdict.name() == decision).ok_or(format!(
        "`expect.decision` is `{decision}`, expected allowed, explicitDeny, implicitDeny or keyState"
    ))?;
    Ok((verdict, text(members, "reason")?.map(str::to_owned)))
}

/// The request of a case as proto3 JSON. A list in `context` is a multivalued key.
fn message(members: &Map<String, Value>) -> Result<Value, String> {
    let taken = |names: &[(&str, &str)]| -> Map<String, Value> {
        names
            .iter()
            .filter_map(|(from, to)| Some(((*to).to_owned(), members.get(*from)?.clone())))
            .collect()
    };
    let mut request = taken(&REQUEST);
    request.insert("principal".to_owned(), taken(&PRINCIPAL).into());
    let (mut single, mut multivalued) = (Map::new(), Map::new());
    if let Some(context) = members.get("context") {
        for (name, value) in context.as_object().ok_or("`context` is not an object")? {
            match value {
                Value::Array(_) => multivalued.insert(name.clone(), json!({"values": value})),
                value => single.insert(name.clone(), value.clone()),
            };
        }
    }
    request.insert("context".to_owned(), single.into());
    request.insert("multivaluedContext".to_owned(), multivalued.into());
    Ok(request.into())
}

#[cfg(test)]
mod tests {
    use super::{Expectation, Outcome, verify};
    use crate::engine::bundle::{Document, Options};
    use crate::engine::snapshot::build::{Built, build};
    use crate::engine::term::time::Timestamp;
    use serde_json::{Value, json};

    const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const ALICE: &str = "arn:aws:iam::111122223333:user/alice";

    fn set(assertions: &Value) -> Built {
        let policy = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": ALICE},
            "Action": "kms:Decrypt", "Resource": "*", "Condition": {"StringEquals": {"kms:EncryptionContext:a": "b"}}}});
        let text = json!({"KeyMetadata": {"Arn": KEY}, "Policy": policy, "Assertions": assertions})
            .to_string();
        build(&[Document { name: "set.json".into(), text: text.into() }], &Options::default())
            .unwrap()
    }

    fn codes(assertions: &Value) -> Vec<&'static str> {
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        verify(&set(assertions), now).iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn an_assertion_holds_or_is_a_problem_of_the_set() {
        let case = |context: &str, decision: &str, reason: &str| {
            json!([{"name": "n", "principal": ALICE, "action": "kms:Decrypt", "key": KEY,
                "encryption_context": {"a": context}, "context": {"aws:SourceIp": "192.0.2.1"},
                "expect": {"decision": decision, "reason": reason}}])
        };
        assert_eq!(codes(&case("b", "allowed", "key_policy")), [""; 0]);
        assert_eq!(codes(&case("c", "implicitDeny", "key_policy")), [""; 0]);
        assert_eq!(codes(&case("c", "allowed", "key_policy")), ["assertion-failed"]);
        assert_eq!(codes(&case("b", "allowed", "grant")), ["assertion-failed"]);
        assert_eq!(codes(&case("b", "yes", "grant")), ["bad-assertion"]);
    }

    #[test]
    fn a_case_that_cannot_be_read_is_never_taken_for_one_that_holds() {
        let whole = json!({"name": "n", "principal": ALICE, "action": "kms:Decrypt", "key": KEY,
            "expect": {"decision": "implicitDeny"}});
        for missing in ["principal", "action", "expect"] {
            let mut case = whole.clone();
            case.as_object_mut().unwrap().remove(missing);
            assert_eq!(codes(&json!([case])), ["bad-assertion"], "{missing}");
        }
        for (name, value) in [
            ("actoin", json!("x")),
            ("now", json!("noon")),
            ("context", json!([])),
            ("parameters", json!({"no_such": 1})),
            ("action", json!("kms:Decript")),
            ("key", json!("alias/")),
        ] {
            let mut case = whole.clone();
            case.as_object_mut().unwrap().insert(name.to_owned(), value);
            assert_eq!(codes(&json!([case])).len(), 1, "{name}");
        }
    }

    #[test]
    fn a_failed_case_says_what_was_decided_and_why() {
        let case = json!({"name": "n", "principal": ALICE, "action": "kms:Decrypt", "key": KEY,
            "context": {"aws:CalledVia": ["s3.amazonaws.com"]}, "expect": {"decision": "allowed"}});
        let case = Expectation::read(&case).unwrap();
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let Outcome::Fails(message) = case.check(&set(&json!([])).snapshot, now) else {
            panic!("it fails")
        };
        assert!(message.starts_with("expected allowed, decided implicitDeny (key_policy): User: "));
    }
}
