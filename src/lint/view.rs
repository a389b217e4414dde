//! What rules look at: policies, statements, keys and grants with the places of their parts.

use std::borrow::Cow;
use std::cell::OnceCell;

use super::ask::Can;
use super::rule::{Rule, Severity};
use super::set::Set;
use crate::engine::grant::Grant;
use crate::engine::json::{Json, Member, Span, Value};
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::policy::condition::{Condition, Quantifier, Test};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::statement::{Effect, Principals, Statement};
use crate::engine::policy::template::Template;
use crate::engine::policy::{Policy, PolicyKind};
use crate::engine::snapshot::{Identity, Key};
use crate::engine::term::account::AccountId;

/// A policy document, as written and as compiled.
#[derive(Clone, Copy, Debug)]
pub struct PolicyView<'v> {
    /// The set that it belongs to.
    pub set: &'v Set<'v>,
    /// What it is attached to.
    pub kind: PolicyKind,
    /// As written.
    pub json: &'v Json<'v>,
    /// As compiled: a statement for each one written.
    pub policy: &'v Policy,
    /// Its key, if it is a key policy. Keys that share the policy may stand for each other.
    pub key: Option<&'v Key>,
    /// The account that it belongs to, where that is known.
    pub account: Option<AccountId>,
    /// Whether anyone may change it, where that is known: empty until a rule asks.
    pub changes_policy: &'v OnceCell<Option<Can>>,
}

impl<'v> PolicyView<'v> {
    /// Its statements.
    #[must_use]
    pub fn statements(&self) -> Vec<StatementView<'v>> {
        let written: &[Json<'_>] = match self.json.member("Statement") {
            Some(Json { value: Value::List(items), .. }) => items,
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        let both = written.iter().zip(self.policy.statements());
        both.map(|(json, compiled)| StatementView { of: *self, json, compiled }).collect()
    }

    /// Where to point when the policy as a whole is meant: its `Statement` member, else its start.
    #[must_use]
    pub fn span(&self) -> Span {
        let members = self.json.as_object().unwrap_or_default();
        let statement = members.iter().find(|member| member.name == "Statement");
        statement.map_or(self.json.span, |member| member.name_span)
    }

    /// The version of the policy language, if it is written.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.json.member("Version").and_then(Json::as_text)
    }
}

/// A statement, as written and as compiled.
#[derive(Clone, Copy, Debug)]
pub struct StatementView<'v> {
    /// Its policy.
    pub of: PolicyView<'v>,
    /// As written.
    pub json: &'v Json<'v>,
    /// As compiled.
    pub compiled: &'v Statement,
}

/// A condition, as written and as compiled.
#[derive(Clone, Debug)]
pub struct ConditionView<'v> {
    /// As compiled.
    pub condition: &'v Condition,
    /// The name of its operator.
    pub operator: Span,
    /// The name of its key and its operands.
    pub span: Span,
    /// Its operands.
    pub values: Vec<(Cow<'v, str>, Span)>,
}

impl<'v> StatementView<'v> {
    /// Whether it is an Allow.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.compiled.effect == Effect::Allow
    }

    /// Whether it stands in a key policy.
    #[must_use]
    pub fn in_key_policy(&self) -> bool {
        self.of.kind == PolicyKind::Key
    }

    /// Whether it is an Allow of a key policy.
    #[must_use]
    pub fn opens_key(&self) -> bool {
        self.in_key_policy() && self.allows()
    }

    /// Whether it is an Allow of a user's, group's or role's policy.
    #[must_use]
    pub fn allows_identity(&self) -> bool {
        self.of.kind == PolicyKind::Identity && self.allows()
    }

    /// An element.
    #[must_use]
    pub fn element(&self, name: &str) -> Option<&'v Member<'v>> {
        self.json.as_object()?.iter().find(|member| member.name == name)
    }

    /// Where an element stands; without it the Sid or the statement.
    #[must_use]
    pub fn span(&self, name: &str) -> Span {
        let whole = |member: &Member<'_>| Span {
            start: member.name_span.start,
            end: member.value.span.end,
        };
        self.element(name)
            .or_else(|| self.element("Sid"))
            .or_else(|| self.element("Effect"))
            .map_or(self.json.span, whole)
    }

    /// The texts of an element, with their places.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<(&'v str, Span)> {
        self.element(name).map(|member| texts(&member.value)).unwrap_or_default()
    }

    /// Whether every action that it is about is one of KMS.
    #[must_use]
    pub fn is_kms_only(&self) -> bool {
        let actions = self.texts("Action");
        self.in_key_policy()
            || (!actions.is_empty() && actions.iter().all(|(text, _)| is_kms(text)))
    }

    /// The actions that it names one by one, wildcards aside.
    #[must_use]
    pub fn spelt_actions(&self) -> Vec<(Action, Span)> {
        let plain = self.texts("Action").into_iter().filter(|(text, _)| !text.contains(['*', '?']));
        plain.filter_map(|(text, span)| Some((only(ActionSet::matching(text))?, span))).collect()
    }

    /// Where an action is named that matches one of `actions`; else the element.
    #[must_use]
    pub fn action_span(&self, actions: ActionSet) -> Span {
        let texts = self.texts("Action");
        let found = texts.iter().find(|(text, _)| {
            ActionSet::matching(text).iter().any(|action| actions.contains(action))
        });
        found.map_or_else(|| self.span("Action"), |(_, span)| *span)
    }

    /// Those in `Principal`, with their places.
    #[must_use]
    pub fn principals(&self) -> Vec<(&'v PrincipalPattern, Span)> {
        let Principals::These(patterns) = &self.compiled.principals else { return Vec::new() };
        let Some(member) = self.element("Principal") else { return Vec::new() };
        let spans: Vec<Span> = match &member.value.value {
            Value::Object(families) => families
                .iter()
                .flat_map(|family| texts(&family.value))
                .map(|(_, span)| span)
                .collect(),
            _ => vec![member.value.span],
        };
        patterns.iter().zip(spans).collect()
    }

    /// Its conditions.
    #[must_use]
    pub fn conditions(&self) -> Vec<ConditionView<'v>> {
        let operators = self.element("Condition").and_then(|member| member.value.as_object());
        let written = operators.unwrap_or_default().iter().flat_map(|operator| {
            let keys = operator.value.as_object().unwrap_or_default();
            keys.iter().map(|key| (operator.name_span, key))
        });
        let both = written.zip(self.compiled.conditions.iter());
        both.map(|((operator, key), condition)| ConditionView {
            condition,
            operator,
            span: Span { start: key.name_span.start, end: key.value.span.end },
            values: operands(&key.value),
        })
        .collect()
    }

    /// Whether a condition that narrows the statement is on one of these condition keys. A name
    /// that ends with `:` or `/` stands for the family.
    #[must_use]
    pub fn is_narrowed_by(&self, names: &[&str]) -> bool {
        self.compiled
            .conditions
            .iter()
            .any(|condition| narrows(condition) && names.iter().any(|name| is(condition, name)))
    }

    /// Whether any condition narrows the statement.
    #[must_use]
    pub fn is_narrowed(&self) -> bool {
        self.compiled.conditions.iter().any(narrows)
    }
}

/// Whether a condition is on the condition key, or on one of the family that the name starts.
#[must_use]
pub fn is(condition: &Condition, name: &str) -> bool {
    if name.ends_with([':', '/']) {
        let start = condition.key.name.get(..name.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(name))
    } else {
        condition.key.name.eq_ignore_ascii_case(name)
    }
}

/// Whether a condition admits only requests that have the key with one of its values.
#[must_use]
pub fn narrows(condition: &Condition) -> bool {
    let any_value = match &condition.test {
        Test::Text(templates) => templates.contains(&Template::Any),
        Test::Arn(templates) => {
            templates.iter().any(|template| *template.template() == Template::Any)
        }
        Test::Null(_) => true,
        _ => false,
    };
    !condition.negated
        && !condition.if_exists
        && condition.quantifier != Quantifier::ForAll
        && !any_value
}

/// Whether an action is one of KMS.
#[must_use]
pub fn is_kms(action: &str) -> bool {
    action.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("kms:"))
}

/// The one action of a set.
#[must_use]
pub fn only(actions: ActionSet) -> Option<Action> {
    let mut all = actions.iter();
    all.next().filter(|_| actions.len() == 1)
}

fn texts<'v>(json: &'v Json<'v>) -> Vec<(&'v str, Span)> {
    let items = json.as_list().unwrap_or_else(|| std::slice::from_ref(json));
    items.iter().filter_map(|item| Some((item.as_text()?, item.span))).collect()
}

fn operands<'v>(json: &'v Json<'v>) -> Vec<(Cow<'v, str>, Span)> {
    let items = json.as_list().unwrap_or_else(|| std::slice::from_ref(json));
    let text = |item: &'v Json<'v>| match &item.value {
        Value::Text(text) => Some(Cow::Borrowed(&**text)),
        Value::Number(number) => Some(Cow::Borrowed(*number)),
        Value::Bool(value) => Some(Cow::Owned(value.to_string())),
        Value::Null | Value::List(_) | Value::Object(_) | Value::Known(_) => None,
    };
    items.iter().filter_map(|item| Some((text(item)?, item.span))).collect()
}

/// A key, as written and as compiled.
#[derive(Clone, Copy, Debug)]
pub struct KeyView<'v> {
    /// The set that it belongs to.
    pub set: &'v Set<'v>,
    /// The object that holds `KeyMetadata`.
    pub json: &'v Json<'v>,
    /// `KeyMetadata`.
    pub metadata: &'v Json<'v>,
    /// As compiled.
    pub key: &'v Key,
}

/// A user or role, as written and as compiled with all of its policies.
#[derive(Clone, Copy, Debug)]
pub struct IdentityView<'v> {
    /// The set that it belongs to.
    pub set: &'v Set<'v>,
    /// As written.
    pub json: &'v Json<'v>,
    /// As compiled.
    pub identity: &'v Identity,
}

/// A grant, as written and as compiled.
#[derive(Clone, Copy, Debug)]
pub struct GrantView<'v> {
    /// The set that it belongs to.
    pub set: &'v Set<'v>,
    /// As written.
    pub json: &'v Json<'v>,
    /// As compiled.
    pub grant: &'v Grant,
    /// Its key, if the set has it.
    pub key: Option<&'v Key>,
}

impl GrantView<'_> {
    /// Where a member stands; without it the grant's id or the grant.
    #[must_use]
    pub fn span(&self, name: &str) -> Span {
        member_span(self.json, &[name, "GrantId"])
    }
}

/// Where the first of these members stands; without any of them the object.
#[must_use]
pub fn member_span(json: &Json<'_>, names: &[&str]) -> Span {
    let members = json.as_object().unwrap_or_default();
    let found = names.iter().find_map(|name| members.iter().find(|member| member.name == *name));
    found.map_or(json.span, |member| Span {
        start: member.name_span.start,
        end: member.value.span.end,
    })
}

/// Something found, before its place in the document is known.
#[derive(Clone, Debug)]
pub struct Raw {
    /// By which rule.
    pub rule: &'static Rule,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Cow<'static, str>,
    /// Where in the text that was looked at.
    pub span: Span,
    /// The Sid of the statement, if it has one.
    pub sid: Option<Box<str>>,
}

impl Raw {
    /// Taken more or less seriously than usual.
    pub fn severity(&mut self, severity: Severity) -> &mut Self {
        self.severity = severity;
        self
    }

    /// What to do in this case.
    pub fn help(&mut self, help: impl Into<Cow<'static, str>>) -> &mut Self {
        self.help = help.into();
        self
    }
}

/// Where a rule says what it found.
#[derive(Debug)]
pub struct Report<'r> {
    /// The rule that looks.
    pub rule: &'static Rule,
    /// What was found so far.
    pub found: &'r mut Vec<Raw>,
    /// The Sid of the statement that is looked at.
    pub sid: Option<&'r str>,
}

impl Report<'_> {
    /// Found something.
    pub fn at(&mut self, span: Span, message: impl Into<String>) -> &mut Raw {
        self.found.push(Raw {
            rule: self.rule,
            severity: self.rule.severity,
            message: message.into(),
            help: Cow::Borrowed(self.rule.advice),
            span,
            sid: self.sid.map(Into::into),
        });
        let last = self.found.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "it was pushed a line above")]
        &mut self.found[last]
    }

    /// Found something in a statement.
    pub fn in_statement(
        &mut self,
        view: &StatementView<'_>,
        span: Span,
        message: impl Into<String>,
    ) -> &mut Raw {
        let raw = self.at(span, message);
        raw.sid = view.compiled.sid.clone();
        raw
    }
}
