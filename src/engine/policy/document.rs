//! Policy documents: from JSON to a compiled policy, or to problems.

use std::borrow::Cow;
use std::sync::Arc;

use super::condition::compile::conditions;
use super::elements;
use super::statement::{Effect, Principals, Resources, Statement};
use super::{Policy, PolicyKind};
use crate::engine::json::{Json, Member, Source, Span, Value};
use crate::engine::policy::arn_pattern::ResourcePattern;
use crate::engine::problem::Problem;

/// What compiling a document needs beside its text.
pub struct Reader<'s, 'p> {
    source: &'s Source<'s>,
    problems: &'p mut Vec<Problem>,
    kind: PolicyKind,
    version: Version,
}

/// Versions of the policy language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// `2008-10-17`, and documents without a version: no variables.
    Old,
    /// `2012-10-17`.
    Current,
}

/// A problem just reported.
pub struct Reported<'a>(&'a mut Problem);

impl Reported<'_> {
    /// What to do about it.
    pub fn help(self, help: impl Into<String>) {
        self.0.help = help.into();
    }
}

impl Reader<'_, '_> {
    /// Reports an error.
    pub fn error(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        span: Span,
    ) -> Reported<'_> {
        self.report(Problem::error(code, message).at(self.source.place(span)))
    }

    /// Reports a warning.
    pub fn warning(
        &mut self,
        code: &'static str,
        message: impl Into<String>,
        span: Span,
    ) -> Reported<'_> {
        self.report(Problem::warning(code, message).at(self.source.place(span)))
    }

    fn report(&mut self, problem: Problem) -> Reported<'_> {
        self.problems.push(problem);
        let last = self.problems.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "it was pushed a line above")]
        Reported(&mut self.problems[last])
    }

    /// What the policy is attached to.
    #[must_use]
    pub fn kind(&self) -> PolicyKind {
        self.kind
    }

    /// Whether `${…}` is a variable.
    #[must_use]
    pub fn variables(&self) -> bool {
        self.version == Version::Current
    }

    /// Reads each text, reporting those that cannot be read.
    pub fn each<T>(
        &mut self,
        texts: &[(Cow<'_, str>, Span)],
        code: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Box<[T]>> {
        let mut values = Vec::with_capacity(texts.len());
        for (text, span) in texts {
            match read(text) {
                Ok(value) => values.push(value),
                Err(message) => {
                    self.error(code, message, *span);
                }
            }
        }
        (values.len() == texts.len()).then(|| values.into())
    }
}

/// A text, number or truth value, or a list of them, as texts: values of conditions.
pub fn texts_of<'j>(
    json: &'j Json<'_>,
    reader: &mut Reader<'_, '_>,
) -> Option<Vec<(Cow<'j, str>, Span)>> {
    let one = |json: &'j Json<'_>| match &json.value {
        Value::Text(text) => Some((Cow::Borrowed(&**text), json.span)),
        Value::Number(number) => Some((Cow::Borrowed(*number), json.span)),
        Value::Bool(value) => {
            Some((Cow::Borrowed(if *value { "true" } else { "false" }), json.span))
        }
        Value::Null | Value::List(_) | Value::Object(_) | Value::Known(_) => None,
    };
    collect(json, one, "a text, number or truth value, or a list of them", reader)
}

/// A text or a list of texts; empty lists are refused.
pub fn strings_of<'j>(
    json: &'j Json<'_>,
    reader: &mut Reader<'_, '_>,
) -> Option<Vec<(Cow<'j, str>, Span)>> {
    let one = |json: &'j Json<'_>| match &json.value {
        Value::Text(text) => Some((Cow::Borrowed(&**text), json.span)),
        _ => None,
    };
    let texts = collect(json, one, "a text or a list of texts", reader)?;
    if texts.is_empty() {
        reader.error("empty-element", "the list is empty", json.span);
        return None;
    }
    Some(texts)
}

type One<'j> = (Cow<'j, str>, Span);

fn collect<'j>(
    json: &'j Json<'_>,
    one: impl Fn(&'j Json<'_>) -> Option<One<'j>>,
    expected: &str,
    reader: &mut Reader<'_, '_>,
) -> Option<Vec<One<'j>>> {
    let items: &[Json<'_>] = match &json.value {
        Value::List(items) => items,
        _ => std::slice::from_ref(json),
    };
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        match one(item) {
            Some(text) => texts.push(text),
            None => {
                reader.error("wrong-type", format!("expected {expected}"), item.span);
            }
        }
    }
    (texts.len() == items.len()).then_some(texts)
}

/// Compiles a policy document; `None` when it has errors.
///
/// Source: IAM User Guide, "Grammar of the IAM JSON policy language"; AWS KMS Developer Guide,
/// "Creating a key policy"; AWS Organizations User Guide, "SCP syntax", "RCP syntax".
pub fn compile(
    kind: PolicyKind,
    json: &Json<'_>,
    source: &Source<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Policy> {
    let errors_before = problems.len();
    let mut reader = Reader { source, problems, kind, version: Version::Old };
    let Value::Object(members) = &json.value else {
        reader.error("bad-policy", "a policy document is a JSON object", json.span);
        return None;
    };
    for member in members {
        if !["Version", "Id", "Statement"].contains(&&*member.name) {
            unknown(&mut reader, member, "Version, Id, Statement");
        }
    }
    reader.version = version(members, json.span, &mut reader);
    if let Some(id) = find(members, "Id")
        && !matches!(id.value.value, Value::Text(_))
    {
        reader.error("wrong-type", "`Id` is not a text", id.value.span);
    }
    let statements = match find(members, "Statement") {
        None => {
            reader.error("missing-statement", "the policy has no `Statement`", json.span);
            return None;
        }
        Some(member) => match &member.value.value {
            Value::List(items) => items.as_slice(),
            _ => std::slice::from_ref(&member.value),
        },
    };
    let mut compiled = Vec::with_capacity(statements.len());
    for (index, json) in statements.iter().enumerate() {
        compiled.extend(statement(index, json, &mut reader).map(Arc::new));
    }
    let failed = |problem: &Problem| problem.severity == super::super::problem::Severity::Error;
    let refused = problems.iter().skip(errors_before).any(failed);
    (!refused).then(|| Policy::new(compiled))
}

fn find<'j, 'a>(members: &'j [Member<'a>], name: &str) -> Option<&'j Member<'a>> {
    members.iter().find(|member| member.name == name)
}

fn unknown(reader: &mut Reader<'_, '_>, member: &Member<'_>, expected: &str) {
    reader
        .error(
            "unknown-element",
            format!("a policy has no element `{}` here", member.name),
            member.name_span,
        )
        .help(format!("elements are spelt exactly: {expected}"));
}

fn version(members: &[Member<'_>], whole: Span, reader: &mut Reader<'_, '_>) -> Version {
    let version = match find(members, "Version").map(|member| &member.value) {
        None => Version::Old,
        Some(Json { value: Value::Text(text), .. }) if text == "2012-10-17" => Version::Current,
        Some(Json { value: Value::Text(text), .. }) if text == "2008-10-17" => Version::Old,
        Some(json) => {
            reader
                .error(
                    "bad-version",
                    "the version is neither `2012-10-17` nor `2008-10-17`",
                    json.span,
                )
                .help("write `\"Version\": \"2012-10-17\"`");
            Version::Current
        }
    };
    if version == Version::Old && matches!(reader.kind(), PolicyKind::Rcp) {
        reader.error("bad-version", "a resource control policy needs version `2012-10-17`", whole);
    }
    version
}

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

fn statement(index: usize, json: &Json<'_>, reader: &mut Reader<'_, '_>) -> Option<Statement> {
    let Value::Object(members) = &json.value else {
        reader.error("bad-statement", "a statement is a JSON object", json.span);
        return None;
    };
    for member in members {
        if !ELEMENTS.contains(&&*member.name) {
            unknown(reader, member, &ELEMENTS.join(", "));
        }
    }
    let sid = sid(find(members, "Sid"), reader);
    let effect = effect(find(members, "Effect"), json.span, reader)?;
    if effect == Effect::Allow && reader.kind() == PolicyKind::Rcp {
        reader
            .error("bad-effect", "a resource control policy cannot allow", json.span)
            .help("only `RCPFullAWSAccess` (Id `p-RCPFullAWSAccess`) may allow");
    }
    let pair = |reader: &mut Reader<'_, '_>, name: &str, not: &str| {
        let (with, without) = (find(members, name), find(members, not));
        if let (Some(_), Some(not_member)) = (with, without) {
            let message = format!("`{name}` and `{not}` exclude each other");
            reader.error("contradicting-elements", message, not_member.name_span);
        }
        (with.map(|member| &member.value), without)
    };
    let (principal, not_principal) = pair(reader, "Principal", "NotPrincipal");
    let principals = elements::principals(principal, not_principal, effect, json.span, reader);
    let (action, not_action) = pair(reader, "Action", "NotAction");
    let actions = elements::actions(action, not_action, json.span, reader).unwrap_or_default();
    let (resource, not_resource) = pair(reader, "Resource", "NotResource");
    let resources = elements::resources(resource, not_resource, json.span, reader);
    let conditions = find(members, "Condition")
        .map(|member| conditions(&member.value, effect, reader))
        .unwrap_or_default();
    let mut statement = Statement {
        sid,
        index: u32::try_from(index).unwrap_or(u32::MAX),
        effect,
        principals: principals.unwrap_or(Principals::Bearer),
        actions: actions.possible,
        doubtful_actions: actions.doubtful(),
        resources: resources.unwrap_or(Resources::Nothing),
        conditions,
        reads_key_attributes: false,
    };
    statement.reads_key_attributes = reads_key_attributes(&statement);
    Some(statement)
}

pub(super) fn reads_key_attributes(statement: &Statement) -> bool {
    let in_conditions = statement.conditions.iter().flat_map(|condition| condition.keys());
    let patterns: &[ResourcePattern] = match &statement.resources {
        Resources::These(patterns) | Resources::AllBut(patterns) => patterns,
        Resources::Any | Resources::Nothing => &[],
    };
    let in_resources = patterns.iter().flat_map(|pattern| pattern.variables());
    in_conditions.chain(in_resources).any(|key| key.is_abac())
}

fn sid(member: Option<&Member<'_>>, reader: &mut Reader<'_, '_>) -> Option<Box<str>> {
    let member = member?;
    let Value::Text(text) = &member.value.value else {
        reader.error("wrong-type", "`Sid` is not a text", member.value.span);
        return None;
    };
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric());
    if !plain && reader.kind() != PolicyKind::Key && reader.kind() != PolicyKind::Endpoint {
        reader
            .warning("bad-sid", format!("IAM refuses the Sid `{text}`"), member.value.span)
            .help("outside key policies a Sid has letters and digits alone");
    }
    Some((**text).into())
}

fn effect(member: Option<&Member<'_>>, whole: Span, reader: &mut Reader<'_, '_>) -> Option<Effect> {
    let Some(member) = member else {
        reader.error("missing-effect", "the statement has no `Effect`", whole);
        return None;
    };
    match &member.value.value {
        Value::Text(text) if text == "Allow" => Some(Effect::Allow),
        Value::Text(text) if text == "Deny" => Some(Effect::Deny),
        _ => {
            reader
                .error("bad-effect", "the effect is neither `Allow` nor `Deny`", member.value.span)
                .help("the effect is spelt exactly `Allow` or `Deny`");
            None
        }
    }
}
