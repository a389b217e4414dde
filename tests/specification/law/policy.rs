//! Policy documents, read and checked.
//!
//! Source: IAM User Guide, "Grammar of the IAM JSON policy language"; AWS KMS Developer Guide,
//! "Creating a key policy"; AWS Organizations User Guide, "SCP syntax", "RCP syntax".

use serde_json::Value;

use super::Refusal;
use super::condition::{self, Test};
use super::context::is_multivalued;
use super::operators::Comparison;
use super::principals::Principals;
use super::variables::{are_readable, segments_as_written};

/// Which kind of policy a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Key policy or `AWS_RAM` policy.
    Key,
    /// Identity policy, permissions boundary or session policy.
    Identity,
    ServiceControl,
    /// A customer's resource control policy.
    ResourceControl,
    /// `RCPFullAWSAccess`.
    FullAccess,
    Endpoint,
}

#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) allows: bool,
    pub(crate) principal: Option<Principals>,
    pub(crate) not_principal: Option<Principals>,
    pub(crate) action: Option<Vec<String>>,
    pub(crate) not_action: Option<Vec<String>>,
    pub(crate) resource: Option<Vec<String>>,
    pub(crate) not_resource: Option<Vec<String>>,
    pub(crate) conditions: Vec<Test>,
    /// The version has policy variables: 2012-10-17 alone does.
    pub(crate) variables: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) statements: Vec<Statement>,
}

type Read<T> = Result<T, Refusal>;

/// A policy as an object or as JSON text; for IAM policies also URL-encoded text.
pub(crate) fn read(document: &Value, kind: Kind) -> Read<Policy> {
    match document {
        Value::Object(_) => policy(document, kind),
        Value::String(text) => {
            let parse = super::strict::parse;
            let decoded = || match kind {
                Kind::Identity => parse(&percent_decoded(text)?),
                _ => None,
            };
            let document = parse(text).or_else(decoded).ok_or(Refusal::Policy)?;
            policy(&document, kind)
        }
        _ => Err(Refusal::Policy),
    }
}

/// PutKeyPolicy takes the characters of Latin-1, and tab, line feed and carriage return.
pub(crate) fn has_lawful_characters(document: &Value) -> bool {
    let lawful =
        |text: &str| text.chars().all(|c| "\t\n\r".contains(c) || (' '..='ÿ').contains(&c));
    match document {
        Value::String(text) => lawful(text),
        Value::Array(items) => items.iter().all(has_lawful_characters),
        Value::Object(members) => {
            members.iter().all(|(name, value)| lawful(name) && has_lawful_characters(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

fn policy(document: &Value, kind: Kind) -> Read<Policy> {
    let members = document.as_object().ok_or(Refusal::Policy)?;
    if members.keys().any(|m| !["Version", "Id", "Statement"].contains(&m.as_str())) {
        return Err(Refusal::Policy);
    }
    let version = match members.get("Version") {
        None => "2008-10-17",
        Some(version) => version.as_str().ok_or(Refusal::Policy)?,
    };
    let is_new = version == "2012-10-17";
    let is_known = ["2012-10-17", "2008-10-17"].contains(&version);
    if !is_known || (kind == Kind::ResourceControl && !is_new) {
        return Err(Refusal::Policy);
    }
    let statements = match members.get("Statement") {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one @ Value::Object(_)) => vec![one],
        _ => return Err(Refusal::Policy),
    };
    let statements = statements.into_iter().map(|s| statement(s, kind, is_new));
    Ok(Policy { statements: statements.collect::<Read<_>>()? })
}

fn statement(document: &Value, kind: Kind, variables: bool) -> Read<Statement> {
    const ELEMENTS: [&str; 9] = [
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    ];
    let members = document.as_object().ok_or(Refusal::Policy)?;
    if members.keys().any(|m| !ELEMENTS.contains(&m.as_str())) {
        return Err(Refusal::Policy);
    }
    let principals_of = |name: &str| members.get(name).map(Principals::read).transpose();
    let texts_of = |name: &str| members.get(name).map(texts).transpose();
    let statement = Statement {
        allows: match members.get("Effect").and_then(Value::as_str) {
            Some("Allow") => true,
            Some("Deny") => false,
            _ => return Err(Refusal::Policy),
        },
        principal: principals_of("Principal")?,
        not_principal: principals_of("NotPrincipal")?,
        action: texts_of("Action")?,
        not_action: texts_of("NotAction")?,
        resource: texts_of("Resource")?,
        not_resource: texts_of("NotResource")?,
        conditions: match members.get("Condition") {
            None => Vec::new(),
            Some(block) => condition::read(block, variables)?,
        },
        variables,
    };
    if is_lawful(&statement, kind) { Ok(statement) } else { Err(Refusal::Policy) }
}

/// What may stand together, and what each kind of policy needs.
fn is_lawful(statement: &Statement, kind: Kind) -> bool {
    let Statement { principal, not_principal, action, not_action, resource, not_resource, .. } =
        statement;
    let contradictory = (principal.is_some() && not_principal.is_some())
        || (action.is_some() && not_action.is_some())
        || (resource.is_some() && not_resource.is_some());
    let allows_others = statement.allows && not_principal.is_some();
    // Nobody knows what a test of a set without set operator means: a Deny must not rest on it.
    let is_vague = |test: &Test| {
        let bare = test.quantifier.is_none() && test.comparison != Comparison::Null;
        bare && is_multivalued(&test.key)
    };
    let vague_deny = !statement.allows && statement.conditions.iter().any(is_vague);
    let mut resources = [resource, not_resource].into_iter().flatten().flatten();
    let variables = statement.variables;
    let readable = resources.all(|text| {
        is_visible_resource(text, variables) && (!variables || is_readable_resource(text))
    });
    if contradictory || allows_others || vague_deny || !readable {
        return false;
    }
    let has_principal = principal.is_some() || not_principal.is_some();
    let has_action = action.is_some() || not_action.is_some();
    let has_resource = resource.is_some() || not_resource.is_some();
    let for_everyone = principal.as_ref().is_some_and(|p| p.everyone);
    let is_action = |text: &String| match text.split_once(':') {
        _ if !text.chars().all(|c| c.is_ascii_graphic()) => false,
        Some((service, name)) => !service.is_empty() && !name.is_empty(),
        None => text == "*" && kind != Kind::ResourceControl,
    };
    let are_actions = [action, not_action].into_iter().flatten().flatten().all(is_action);
    let is_complete = match kind {
        // In a key policy the others may be missing; such a statement never matches.
        Kind::Key => has_principal,
        Kind::Endpoint => has_principal && has_action && has_resource,
        Kind::Identity | Kind::ServiceControl => !has_principal && has_action && has_resource,
        Kind::FullAccess => for_everyone && has_action && has_resource,
        Kind::ResourceControl => {
            !statement.allows && for_everyone && action.is_some() && has_resource
        }
    };
    are_actions && is_complete
}

/// ARNs of KMS have no blanks and are ASCII; names in variables may be otherwise.
fn is_visible_resource(text: &str, with_variables: bool) -> bool {
    let of_kms = text.split(':').nth(2).is_some_and(|service| service.trim() == "kms");
    let mut visible = text.to_owned();
    while with_variables && let Some(start) = visible.find("${") {
        let end = visible[start..].find('}').map_or(visible.len(), |end| start + end + 1);
        visible.replace_range(start..end, "");
    }
    let blank = text.trim() == "*" && text != "*";
    !blank && (!of_kms || visible.chars().all(|c| c.is_ascii_graphic()))
}

/// Colons inside variables do not count.
fn is_readable_resource(text: &str) -> bool {
    segments_as_written(text).iter().all(|segment| are_readable(segment))
}

/// A text or a list of texts, which is not empty.
pub(crate) fn texts(value: &Value) -> Read<Vec<String>> {
    let text = |v: &Value| v.as_str().map(str::to_owned).ok_or(Refusal::Policy);
    match value {
        Value::Array(list) if list.is_empty() => Err(Refusal::Policy),
        Value::Array(list) => list.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}
