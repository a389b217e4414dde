//! One case of `keyward simulate`, from JSON to its outcome.

use serde_json::{Value, json};

use super::arn;
use super::authorize::{Authorization, Verdict};
use super::caller::Caller;
use super::derive;
use super::grants::SourceArns;
use super::key_state::{self, Role};
use super::legs::{Leg, Target, legs};
use super::request::Request;
use super::retire::grant_of;
use super::switches::Switches;
use super::values;
use super::world::World;

/// The answer to one case.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Decided {
        /// `allowed`, `explicitDeny`, `implicitDeny` or `keyState`.
        decision: String,
        error_code: Option<String>,
        /// Action, resource, decision and error code of every leg of an operation.
        legs: Vec<Value>,
    },
    /// Everything that is wrong; of several things a product may name any.
    Refused(Vec<Refusal>),
}

impl Outcome {
    /// The decision, or the kind of refusal.
    pub(crate) fn word(&self) -> &str {
        match self {
            Self::Decided { decision, .. } => decision,
            Self::Refused(refusals) => match refusals[0] {
                Refusal::Policy => "invalidPolicy",
                Refusal::Request => "invalidRequest",
                Refusal::Case => "invalidCase",
            },
        }
    }

    /// Whether a product that answers so keeps the law.
    pub(crate) fn is_kept_by(&self, answer: &Self) -> bool {
        match (self, answer) {
            (Self::Refused(all), Self::Refused(named)) => named.iter().all(|one| all.contains(one)),
            (expected, answer) => expected == answer,
        }
    }

    pub(crate) fn legs(&self) -> &[Value] {
        if let Self::Decided { legs, .. } = self { legs } else { &[] }
    }
}

/// Why a case has no decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its documents are no policy set.
    Policy,
    /// Its request is not valid.
    Request,
    /// It is not a case.
    Case,
}

/// Answers one case.
pub(crate) fn decide(case: &Value) -> Outcome {
    answer(case).unwrap_or_else(Outcome::Refused)
}

/// What is wrong with the case as such.
fn check_form(case: &Value) -> Result<(), Refusal> {
    let now = case.get("now").is_none_or(|now| now.as_str().is_some_and(is_instant));
    let documents = case.get("documents").is_none_or(Value::is_array);
    let members = ["options", "contextOverrides"];
    let objects = members.iter().all(|member| case.get(member).is_none_or(Value::is_object));
    let known = ["contextOverrides", "documents", "now", "options", "request"];
    let misspelt =
        |name: &String| known.iter().any(|known| name != known && name.eq_ignore_ascii_case(known));
    let spelt = !case.as_object().is_some_and(|members| members.keys().any(misspelt));
    let is_case = now && documents && objects && spelt && case.get("request").is_some();
    if is_case { Ok(()) } else { Err(Refusal::Case) }
}

fn is_instant(text: &str) -> bool {
    values::instant(text).is_some()
}

/// What one leg comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Allowed,
    KeyState(&'static str),
    ImplicitDeny(&'static str),
    ExplicitDeny,
}

const ACCESS_DENIED: &str = "AccessDeniedException";
const NOT_FOUND: &str = "NotFoundException";

impl Answer {
    fn decision(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::KeyState(_) => "keyState",
            Self::ImplicitDeny(_) => "implicitDeny",
            Self::ExplicitDeny => "explicitDeny",
        }
    }

    fn error_code(self) -> Option<&'static str> {
        match self {
            Self::Allowed => None,
            Self::KeyState(code) | Self::ImplicitDeny(code) => Some(code),
            Self::ExplicitDeny => Some(ACCESS_DENIED),
        }
    }
}

/// The first of the worst answers: explicit deny, implicit deny, key state, allowed.
fn worst(answers: &[Answer]) -> Answer {
    let from_worst = ["explicitDeny", "implicitDeny", "keyState", "allowed"];
    let mut found = from_worst.iter().filter_map(|decision| {
        answers.iter().copied().find(|answer| answer.decision() == *decision)
    });
    found.next().expect("a request has a leg")
}

/// All that an answer is made from.
struct Asked<'a> {
    caller: &'a Caller<'a>,
    request: &'a Request,
    world: &'a World,
    switches: &'a Switches,
}

fn answer(case: &Value) -> Result<Outcome, Vec<Refusal>> {
    let form = check_form(case);
    let switches = Switches::read(&case["options"]);
    let world = World::read(&case["documents"]);
    let request = Request::read(case, world.as_ref().unwrap_or(&World::default()));
    let refusals = [form.err(), switches.as_ref().err().copied(), world.as_ref().err().copied()];
    let refusals = refusals.into_iter().chain([request.as_ref().err().copied()]);
    let refusals: Vec<Refusal> = refusals.flatten().collect();
    match (switches, world, request) {
        (Ok(switches), Ok(world), Ok(request)) if refusals.is_empty() => {
            decided(&switches, &world, &request).map_err(|refusal| vec![refusal])
        }
        _ => Err(refusals),
    }
}

fn decided(switches: &Switches, world: &World, request: &Request) -> Result<Outcome, Refusal> {
    let caller = Caller::read(request, world, switches)?;
    let legs = legs(request, world, &caller)?;
    let asked = Asked { caller: &caller, request, world, switches };
    let answers = asked.answers(&legs)?;
    let worst = worst(&answers);
    let error_code = match (worst, request.dry_run) {
        (Answer::Allowed, true) => Some("DryRunOperationException"),
        _ => worst.error_code(),
    };
    let shown = |(leg, answer): (&Leg<'_>, &Answer)| {
        json!({"action": format!("kms:{}", leg.action), "resource": leg.target.name(),
            "decision": answer.decision(), "errorCode": answer.error_code()})
    };
    let is_operation = !request.action.starts_with("kms:");
    Ok(Outcome::Decided {
        decision: worst.decision().to_owned(),
        error_code: error_code.map(str::to_owned),
        legs: legs.iter().zip(&answers).filter(|_| is_operation).map(shown).collect(),
    })
}

impl Asked<'_> {
    /// ReEncrypt by grants needs grants on both keys that carry the same source ARN. Where there
    /// are none, those with a source ARN open neither key, and the destination stays closed.
    ///
    /// Source: AWS KMS API Reference, `ReEncrypt`.
    fn answers(&self, legs: &[Leg<'_>]) -> Result<Vec<Answer>, Refusal> {
        let with = |source_arns: SourceArns| -> Result<(Vec<Answer>, bool), Refusal> {
            let authorized = legs.iter().map(|leg| self.authorized(leg, source_arns));
            let authorized = authorized.collect::<Result<Vec<_>, _>>()?;
            let all = authorized.iter().all(|answer| *answer == Answer::Allowed);
            let answers = legs.iter().zip(authorized).enumerate();
            let answers = answers.map(|(index, (leg, answer))| self.in_state(leg, index, answer));
            Ok((answers.collect(), all))
        };
        let (answers, all_authorized) = with(SourceArns::Any)?;
        if self.request.action != "ReEncrypt" || !all_authorized {
            return Ok(answers);
        }
        for source_arns in [SourceArns::With, SourceArns::Without] {
            if with(source_arns)?.1 {
                return Ok(answers);
            }
        }
        let (mut answers, _) = with(SourceArns::Without)?;
        *answers.last_mut().expect("two legs") = Answer::ImplicitDeny(ACCESS_DENIED);
        Ok(answers)
    }

    /// What policies and grants say of one leg.
    fn authorized(&self, leg: &Leg<'_>, source_arns: SourceArns) -> Result<Answer, Refusal> {
        let context = derive::context(leg, self.caller, self.request, self.world)?;
        let resource = match (leg.target.resource(), self.owner_without_grant(leg)) {
            (Ok(resource), None) => resource,
            // What is not there is not found in the caller's account, and not told apart from what
            // is forbidden in another one.
            (Err(owner), _) | (Ok(_), Some(owner)) => {
                let arn = leg.target.name();
                let own = owner.is_some()
                    && owner == self.caller.account
                    && arn::same_partition(&arn, &self.caller.arn);
                let code = if own { NOT_FOUND } else { ACCESS_DENIED };
                return Ok(Answer::ImplicitDeny(code));
            }
        };
        let authorization = Authorization {
            leg,
            caller: self.caller,
            request: self.request,
            world: self.world,
            switches: self.switches,
            context: &context,
            action: format!("kms:{}", leg.action),
            resource,
            source_arns,
        };
        Ok(match authorization.verdict() {
            Verdict::ExplicitDeny => Answer::ExplicitDeny,
            Verdict::ImplicitDeny => Answer::ImplicitDeny(ACCESS_DENIED),
            Verdict::Allowed => Answer::Allowed,
        })
    }

    /// RetireGrant: the owner of a key that does not have the grant.
    fn owner_without_grant(&self, leg: &Leg<'_>) -> Option<Option<String>> {
        let Target::Key(key, _) = &leg.target else { return None };
        let missing = leg.action == "RetireGrant" && grant_of(key, self.request).is_none();
        missing.then(|| Some(key.account.clone()))
    }

    /// What is authorized may still be impossible in the key's state; a switch asks the state first.
    fn in_state(&self, leg: &Leg<'_>, index: usize, authorized: Answer) -> Answer {
        let Target::Key(key, _) = &leg.target else { return authorized };
        let role = match (self.request.action.as_str(), index) {
            ("UpdateAlias", 1) => Role::CurrentKeyOfAlias,
            _ => Role::TheKey,
        };
        let state_first = self.switches.is("auth_before_state", "false");
        match key_state::error(&leg.action, key, role) {
            Some(code) if state_first || authorized == Answer::Allowed => Answer::KeyState(code),
            _ => authorized,
        }
    }
}
