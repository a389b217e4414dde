//! Statements that never match, or whose effect another statement takes away.

use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::kms::key_state::grant_operations;
use crate::engine::kms::table::ResourceKind;
use crate::engine::policy::PolicyKind;
use crate::engine::policy::arn_pattern::{ResourcePattern, Target};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::statement::{Effect, Principals, Resources, Statement};
use crate::engine::term::arn::Arn;
use crate::engine::term::truth::Truth;
use crate::lint::open::{Open, account_of};
use crate::lint::rule::{Check, Example, Rule, Severity};
use crate::lint::view::{Report, StatementView, is_kms};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "resource-not-this-key",
        severity: Severity::Warning,
        title: "a key policy statement about another key",
        why: "The `Resource` of a key policy can only be the key itself. A statement about another key, about an \
              alias or a bare key id never matches; a Deny of that kind protects nothing.",
        advice: "write `\"Resource\": \"*\"`: in a key policy it means this key",
        source: "AWS KMS Developer Guide, \"Creating a key policy\" (Resource)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "arn:aws:kms:us-west-2:111122223333:key/0987dcba-09fe-87dc-65ba-ab0987654321"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*"}"#,
        ),
        check: Check::Statement(resource_not_this_key),
    },
    Rule {
        code: "missing-resource",
        severity: Severity::Warning,
        title: "a key policy statement without `Resource`",
        why: "KMS stores it, and it never matches. Only the console complains.",
        advice: "add `\"Resource\": \"*\"`",
        source: "AWS KMS Developer Guide, \"Creating a key policy\" (Resource)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*"}"#,
        ),
        check: Check::Statement(missing_resource),
    },
    Rule {
        code: "missing-action",
        severity: Severity::Warning,
        title: "a key policy statement without `Action`",
        why: "KMS stores it, and it never matches. Only the console complains.",
        advice: "add `Action`, or remove the statement",
        source: "AWS KMS Developer Guide, \"Creating a key policy\" (Action)",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Resource": "*",
 "Action": "kms:DescribeKey"}"#,
        ),
        check: Check::Statement(missing_action),
    },
    Rule {
        code: "unknown-action",
        severity: Severity::Warning,
        title: "an action that KMS does not have",
        why: "It is misspelt or was never an action: it allows nothing, and in a Deny it protects nothing. \
              `kms:ReEncrypt` is the usual case: permission to re-encrypt is `kms:ReEncryptFrom` and `kms:ReEncryptTo`.",
        advice: "spell it as in the permissions reference",
        source: "AWS KMS Developer Guide, \"AWS KMS permissions\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": ["kms:ReEncrypt", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": ["kms:ReEncrypt*", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        check: Check::Statement(unknown_action),
    },
    Rule {
        code: "no-effect-in-key-policy",
        severity: Severity::Warning,
        title: "an action that key policies have no say in",
        why: "CreateKey, ListKeys, ListAliases, GenerateRandom and the like are on no key, and RetireGrant is decided by \
              the grant: naming them in a key policy changes nothing.",
        advice: "put it into an identity policy; who retires a grant is said in the grant",
        source: "AWS KMS Developer Guide, \"AWS KMS permissions\"; \"Retiring and revoking grants\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": ["kms:ListKeys", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": "kms:DescribeKey", "Resource": "*"}"#,
        ),
        check: Check::Statement(no_effect_in_key_policy),
    },
    Rule {
        code: "key-cannot-do-this",
        severity: Severity::Warning,
        title: "cryptographic operations that this kind of key never performs",
        why: "A symmetric encryption key signs nothing, an HMAC key encrypts nothing: the statement was written for \
              another key.",
        advice: "allow the operations of the key's usage",
        source: "AWS KMS Developer Guide, \"Key type reference\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": ["kms:Sign", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"},
 "Action": ["kms:Encrypt", "kms:DescribeKey"], "Resource": "*"}"#,
        ),
        check: Check::Statement(key_cannot_do_this),
    },
    Rule {
        code: "provider-principal",
        severity: Severity::Warning,
        title: "an identity provider as principal",
        why: "Providers are principals of role trust policies. Whoever signs in through one calls KMS as a session of \
              a role, which this principal never matches.",
        advice: "name the role, with a condition on `aws:FederatedProvider` if need be",
        source: "IAM User Guide, \"AWS JSON policy elements: Principal\"",
        bad: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"Federated": "cognito-identity.amazonaws.com"}, "Action": "kms:DescribeKey",
 "Resource": "*"}"#,
        ),
        good: Example::Statement(
            r#"{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey",
 "Resource": "*"}"#,
        ),
        check: Check::Statement(provider_principal),
    },
    Rule {
        code: "hidden-by-deny",
        severity: Severity::Warning,
        title: "an Allow that a Deny takes back whole",
        why: "A Deny wins over every Allow: the statement reads as if it gave access, and gives none.",
        advice: "remove the Allow, or narrow the Deny",
        source: "IAM User Guide, \"Policy evaluation logic\" (explicit deny)",
        bad: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey", "Resource": "*"},
  {"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:*", "Resource": "*"}]}"#,
        ),
        good: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey", "Resource": "*"},
  {"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DisableKey", "Resource": "*"}]}"#,
        ),
        check: Check::Statement(hidden_by_deny),
    },
    Rule {
        code: "redundant-allow",
        severity: Severity::Suggestion,
        title: "an Allow that another Allow already gives",
        why: "Whoever removes or narrows it to take access away changes nothing.",
        advice: "keep one of the statements",
        source: "IAM User Guide, \"Validate policies with IAM Access Analyzer\" (redundant statements)",
        bad: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:Describe*", "Resource": "*"},
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey", "Resource": "*"}]}"#,
        ),
        good: Example::Policy(
            r#"{"Version": "2012-10-17", "Statement": [
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:DescribeKey", "Resource": "*"},
  {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/App"}, "Action": "kms:ListGrants", "Resource": "*"}]}"#,
        ),
        check: Check::Statement(redundant_allow),
    },
];

/// A Deny that never matches is worse than an Allow: someone relies on it.
fn never(view: &StatementView<'_>) -> Severity {
    if view.allows() { Severity::Warning } else { Severity::SecurityWarning }
}

fn resource_not_this_key(view: &StatementView<'_>, report: &mut Report<'_>) {
    let Some(key) = view.of.key else { return };
    let Some(arn) = Arn::parse(&key.arn) else { return };
    let (Resources::These(_), Some(member)) = (&view.compiled.resources, view.element("Resource"))
    else {
        return;
    };
    let variables = view.of.version() == Some("2012-10-17");
    let target = Target::new(arn.text);
    let open = Open { action: Action::DescribeKey, key: Some(key), caller: None, root: None };
    let matches = |text: &str| {
        ResourcePattern::parse(text, variables)
            .is_ok_and(|pattern| pattern.matches(&target, &open) != Truth::False)
    };
    let texts = view.texts("Resource");
    if texts.iter().any(|(text, _)| matches(text)) {
        return;
    }
    let span = texts.first().map_or(member.name_span, |(_, span)| *span);
    report.at(span, format!("it is not `{}`", key.arn)).severity(never(view));
}

fn missing_resource(view: &StatementView<'_>, report: &mut Report<'_>) {
    let given = view.element("Resource").is_some() || view.element("NotResource").is_some();
    if view.in_key_policy() && !given {
        let message = "without `Resource` the statement never matches";
        report.at(view.span("Resource"), message).severity(never(view));
    }
}

fn missing_action(view: &StatementView<'_>, report: &mut Report<'_>) {
    let given = view.element("Action").is_some() || view.element("NotAction").is_some();
    if view.in_key_policy() && !given {
        let message = "without `Action` the statement never matches";
        report.at(view.span("Action"), message).severity(never(view));
    }
}

fn unknown_action(view: &StatementView<'_>, report: &mut Report<'_>) {
    for element in ["Action", "NotAction"] {
        for (text, span) in view.texts(element) {
            if !is_kms(text) || !ActionSet::matching(text).is_empty() {
                continue;
            }
            let raw = report.at(span, format!("KMS has no action `{text}`"));
            raw.severity(never(view));
            let names = Action::ALL.iter().map(|action| action.name());
            if text.eq_ignore_ascii_case("kms:ReEncrypt") {
                raw.help("write `kms:ReEncrypt*`, or `kms:ReEncryptFrom` and `kms:ReEncryptTo`");
            } else if let Some(near) = super::nearest(text, names) {
                raw.help(format!("did you mean `{near}`?"));
            }
        }
    }
}

fn no_effect_in_key_policy(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.in_key_policy() {
        return;
    }
    for (action, span) in view.spelt_actions() {
        let kind = action.row().resource;
        let elsewhere = matches!(kind, ResourceKind::Account | ResourceKind::RetiringPrincipal);
        if elsewhere || action == Action::RetireGrant {
            report.at(span, format!("a key policy has no say in `{}`", action.name()));
        }
    }
}

fn key_cannot_do_this(view: &StatementView<'_>, report: &mut Report<'_>) {
    let Some(key) = view.of.key else { return };
    let possible = grant_operations(key.usage, key.spec);
    for (action, span) in view.spelt_actions() {
        if action.is_cryptographic() && action.grantable() && !possible.contains(action) {
            let message = format!(
                "a key of usage {} and spec {} never does `{}`",
                key.usage.name(),
                key.spec.name(),
                action.name()
            );
            report.at(span, message);
        }
    }
}

fn provider_principal(view: &StatementView<'_>, report: &mut Report<'_>) {
    for (pattern, span) in view.principals() {
        if let PrincipalPattern::Provider(name) = pattern {
            report.at(span, format!("`{name}` never calls KMS")).severity(never(view));
        }
    }
}

/// Whether the principals of a statement surely hold everyone whom `pattern` stands for.
fn covers(principals: &Principals, pattern: Option<&PrincipalPattern>) -> bool {
    match (principals, pattern) {
        (Principals::Bearer, None) => true,
        (Principals::These(patterns), Some(pattern)) => patterns.iter().any(|other| match other {
            PrincipalPattern::Everyone => true,
            PrincipalPattern::AnyAws => !matches!(pattern, PrincipalPattern::Service(_)),
            PrincipalPattern::Account(account, _) => account_of(pattern) == Some(*account),
            _ => other == pattern,
        }),
        _ => false,
    }
}

/// Whether a statement of the same policy applies whenever `view` applies to an action and a
/// principal.
fn applies_with(
    other: &Statement,
    view: &StatementView<'_>,
    action: Action,
    pattern: Option<&PrincipalPattern>,
) -> bool {
    let open = Open { action, key: view.of.key, caller: pattern, root: None };
    let evaluation = &view.of.set.snapshot.evaluation;
    let everything =
        other.resources == Resources::Any || other.resources == view.compiled.resources;
    // A doubt never allows, and always denies.
    let surely = other.effect == Effect::Deny || !other.doubtful_actions.contains(action);
    everything
        && surely
        && other.actions.contains(action)
        && covers(&other.principals, pattern)
        && other.conditions.iter().all(|condition| {
            view.compiled.conditions.contains(condition)
                || condition.holds(&open, evaluation) == Truth::True
        })
}

/// Whether some of `others` applies whenever the statement does.
fn always_with(view: &StatementView<'_>, others: &[&Statement]) -> bool {
    let patterns: Vec<Option<&PrincipalPattern>> = match &view.compiled.principals {
        Principals::Bearer => vec![None],
        Principals::These(patterns) => patterns.iter().map(Some).collect(),
        Principals::AllBut(_) => return false,
    };
    let mut actions = view.compiled.actions.iter().peekable();
    actions.peek().is_some()
        && view.compiled.resources != Resources::Nothing
        && actions.all(|action| {
            patterns.iter().all(|pattern| {
                others.iter().any(|other| applies_with(other, view, action, *pattern))
            })
        })
}

fn hidden_by_deny(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.allows() || view.of.kind == PolicyKind::Scp || !view.is_kms_only() {
        return;
    }
    let statements = view.of.policy.statements();
    let denies: Vec<&Statement> = statements
        .map(|statement| &**statement)
        .filter(|other| other.effect == Effect::Deny)
        .collect();
    if !denies.is_empty() && always_with(view, &denies) {
        report.at(view.span("Action"), "a Deny of this policy takes back all that it allows");
    }
}

fn redundant_allow(view: &StatementView<'_>, report: &mut Report<'_>) {
    let relevant = view.opens_key() || view.allows_identity();
    if !relevant || !view.is_kms_only() || view.compiled.reads_key_attributes {
        return;
    }
    // The account's own delegation has a finding of its own, and opens nothing by itself.
    let own = |patterns: &[PrincipalPattern]| {
        patterns.iter().any(|pattern| matches!(pattern, PrincipalPattern::Account(..)))
    };
    if matches!(&view.compiled.principals, Principals::These(patterns) if own(patterns)) {
        return;
    }
    let named = |other: &Statement| match (&other.principals, &view.compiled.principals) {
        (Principals::These(wide), Principals::These(narrow)) => {
            narrow.iter().all(|pattern| wide.contains(pattern))
        }
        (Principals::Bearer, Principals::Bearer) => true,
        _ => false,
    };
    let earlier_or_wider = |other: &Statement| {
        other.index < view.compiled.index
            || other.actions != view.compiled.actions
            || other.conditions.len() < view.compiled.conditions.len()
            || other.principals != view.compiled.principals
            || other.resources != view.compiled.resources
    };
    let others: Vec<&Statement> = view
        .of
        .policy
        .statements()
        .map(|statement| &**statement)
        .filter(|other| other.effect == Effect::Allow && other.index != view.compiled.index)
        .filter(|other| named(other) && earlier_or_wider(other) && !other.reads_key_attributes)
        .collect();
    let single = others.iter().any(|other| always_with(view, std::slice::from_ref(other)));
    if single {
        report.at(view.span("Action"), "another statement of this policy allows all of it already");
    }
}
