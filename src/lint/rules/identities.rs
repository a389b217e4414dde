//! Policies of users, groups and roles, and of the organization.

use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::kms::table::ResourceKind;
use crate::engine::policy::arn_pattern::{ResourcePattern, Target};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::policy::statement::{Effect, Principals, Resources, Statement};
use crate::engine::snapshot::Key;
use crate::engine::term::arn::Arn;
use crate::engine::term::truth::Truth;
use crate::lint::ask::resource_statements;
use crate::lint::open::Open;
use crate::lint::rule::{Check, Example, Rule, Severity};
use crate::lint::view::{Report, StatementView, is_kms};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "identity-uses-every-key",
        severity: Severity::SecurityWarning,
        title: "an identity policy that allows cryptographic operations on `*`",
        why: "It opens every key that enables IAM policies, in the account and in accounts that trust it, today's and \
              tomorrow's.",
        advice: "name the keys in `Resource`, or narrow it with `kms:ResourceAliases`, `aws:ResourceTag/…` or \
                 `kms:ViaService`",
        source: "AWS KMS Developer Guide, \"Best practices for IAM policies\" (specify KMS keys)",
        bad: Example::Identity(r#"{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}"#),
        good: Example::Identity(
            r#"{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "arn:aws:kms:us-west-2:111122223333:key/1"}"#,
        ),
        check: Check::Statement(uses_every_key),
    },
    Rule {
        code: "identity-administers-every-key",
        severity: Severity::SecurityWarning,
        title: "an identity policy that changes policies, deletes keys or creates grants on `*`",
        why: "Whoever has it controls every key that enables IAM policies.",
        advice: "name the keys in `Resource`, or narrow it with `aws:ResourceTag/…`",
        source: "AWS KMS Developer Guide, \"Best practices for IAM policies\" (limit access to delete keys, to create \
                 grants and to change key policies)",
        bad: Example::Identity(
            r#"{"Effect": "Allow", "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy"], "Resource": "*"}"#,
        ),
        good: Example::Identity(
            r#"{"Effect": "Allow", "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy"],
 "Resource": "arn:aws:kms:us-west-2:111122223333:key/1"}"#,
        ),
        check: Check::Statement(administers_every_key),
    },
    Rule {
        code: "identity-all-actions",
        severity: Severity::SecurityWarning,
        title: "`kms:*` in an identity policy",
        why: "It holds administration and use of the keys at once, and every action that KMS will add.",
        advice: "list the actions that are needed",
        source: "AWS KMS Developer Guide, \"Best practices for IAM policies\" (least privilege)",
        bad: Example::Identity(
            r#"{"Effect": "Allow", "Action": "kms:*", "Resource": "arn:aws:kms:us-west-2:111122223333:key/1"}"#,
        ),
        good: Example::Identity(
            r#"{"Effect": "Allow", "Action": ["kms:Encrypt", "kms:DescribeKey"],
 "Resource": "arn:aws:kms:us-west-2:111122223333:key/1"}"#,
        ),
        check: Check::Statement(all_actions),
    },
    Rule {
        code: "identity-allow-inert",
        severity: Severity::Warning,
        title: "an identity policy for a key that does not enable it",
        why: "The key policy is the root of trust: it does not leave these actions to the account's IAM policies, so \
              that this Allow has no effect.",
        advice: "let the key policy allow the action to the account principal, or name the role there",
        source: "AWS KMS Developer Guide, \"Key policies in AWS KMS\"; \"Using IAM policies with AWS KMS\"",
        bad: Example::Document(
            r#"{"Keys": [{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}, "Policy": {"Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
   "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy"], "Resource": "*"}]}}],
 "RoleDetailList": [{"RoleName": "App", "Arn": "arn:aws:iam::111122223333:role/App", "RolePolicyList": [
  {"PolicyName": "Use", "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:Encrypt",
   "Resource": "arn:aws:kms:us-west-2:111122223333:key/1"}]}}]}]}"#,
        ),
        good: Example::Document(
            r#"{"Keys": [{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}, "Policy": {"Version": "2012-10-17",
  "Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
   "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:Encrypt"], "Resource": "*"}]}}],
 "RoleDetailList": [{"RoleName": "App", "Arn": "arn:aws:iam::111122223333:role/App", "RolePolicyList": [
  {"PolicyName": "Use", "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "kms:Encrypt",
   "Resource": "arn:aws:kms:us-west-2:111122223333:key/1"}]}}]}]}"#,
        ),
        check: Check::Statement(inert),
    },
    Rule {
        code: "resource-not-key-arn",
        severity: Severity::Warning,
        title: "a `Resource` that names no key",
        why: "Operations on keys match the ARN of the key, also when the request names an alias. A bare key id matches \
              nothing, and the ARN of an alias only controls the alias itself.",
        advice: "write the key ARN, or condition on `kms:RequestAlias` or `kms:ResourceAliases`",
        source: "AWS KMS Developer Guide, \"Using IAM policies with AWS KMS\" (specifying KMS keys); \"Using aliases to \
                 control access to KMS keys\"",
        bad: Example::Identity(
            r#"{"Effect": "Allow", "Action": ["kms:Encrypt", "kms:DescribeKey"],
 "Resource": "arn:aws:kms:us-west-2:111122223333:alias/orders"}"#,
        ),
        good: Example::Identity(
            r#"{"Effect": "Allow", "Action": ["kms:Encrypt", "kms:DescribeKey"],
 "Resource": "arn:aws:kms:us-west-2:111122223333:key/1"}"#,
        ),
        check: Check::Statement(resource_not_key_arn),
    },
    Rule {
        code: "needs-every-resource",
        severity: Severity::Warning,
        title: "an operation on no key, allowed on a key",
        why: "ListKeys, ListAliases, GenerateRandom and the like are authorized on `*`: on a key ARN the Allow never \
              matches.",
        advice: "put the action into a statement with `\"Resource\": \"*\"`",
        source: "AWS KMS Developer Guide, \"AWS KMS permissions\" (resources of each operation)",
        bad: Example::Identity(
            r#"{"Effect": "Allow", "Action": ["kms:ListKeys", "kms:DescribeKey"],
 "Resource": "arn:aws:kms:us-west-2:111122223333:key/1"}"#,
        ),
        good: Example::Identity(
            r#"{"Effect": "Allow", "Action": "kms:ListKeys", "Resource": "*"}"#,
        ),
        check: Check::Statement(needs_every_resource),
    },
];

/// Condition keys that say which keys are meant, or for what.
const WHICH_KEYS: [&str; 8] = [
    "kms:ResourceAliases",
    "kms:RequestAlias",
    "aws:ResourceTag/",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "kms:ViaService",
    "kms:EncryptionContext:",
    "kms:EncryptionContextKeys",
];

/// What takes a key over.
const CONTROL: [Action; 3] =
    [Action::PutKeyPolicy, Action::ScheduleKeyDeletion, Action::CreateGrant];

/// Whether keys that nobody has thought of are meant: of any account, in any Region.
fn is_on_every_key(view: &StatementView<'_>) -> bool {
    let some = Target::new("arn:aws:kms:us-east-1:000000000000:key/0");
    let open = Open { action: Action::DescribeKey, key: None, caller: None, root: None };
    view.allows_identity()
        && view.compiled.resources.match_target(&some, &open) == Truth::True
        && !view.is_narrowed_by(&WHICH_KEYS)
}

/// Whether the actions of KMS are meant, not just swept along with everything.
fn means_kms(view: &StatementView<'_>) -> bool {
    view.texts("Action").iter().any(|(text, _)| is_kms(text))
}

fn uses_every_key(view: &StatementView<'_>, report: &mut Report<'_>) {
    let uses: ActionSet = view
        .compiled
        .actions
        .iter()
        .filter(|action| action.is_cryptographic() && action.row().resource == ResourceKind::Key)
        .collect();
    if is_on_every_key(view) && means_kms(view) && !uses.is_empty() {
        let message = "it uses every key that enables IAM policies";
        report.at(view.span("Resource"), message);
    }
}

fn administers_every_key(view: &StatementView<'_>, report: &mut Report<'_>) {
    let found = CONTROL.into_iter().find(|action| view.compiled.actions.contains(*action));
    let limited = view.is_narrowed_by(&["kms:GrantIsForAWSResource"]);
    if let Some(action) = found
        && is_on_every_key(view)
        && means_kms(view)
        && !limited
    {
        let message =
            format!("{} is allowed on every key that enables IAM policies", action.name());
        report.at(view.span("Resource"), message);
    }
}

fn all_actions(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.allows_identity() {
        return;
    }
    for (text, span) in view.texts("Action") {
        if is_kms(text) && ActionSet::matching(text) == ActionSet::ALL {
            report.at(span, "it allows all that KMS has, and will have");
        }
    }
}

/// Whether a statement of a key policy leaves an action to the IAM policies of the key's account,
/// or allows it to everyone.
fn enables(statement: &Statement, key: &Key, action: Action) -> bool {
    let Principals::These(patterns) = &statement.principals else { return false };
    let account = |pattern: &PrincipalPattern| match pattern {
        PrincipalPattern::Account(account, _) => *account == key.account,
        PrincipalPattern::Everyone | PrincipalPattern::AnyAws => true,
        _ => false,
    };
    let open = Open { action, key: Some(key), caller: None, root: None };
    statement.effect == Effect::Allow
        && statement.actions.contains(action)
        && patterns.iter().any(account)
        && statement
            .conditions
            .iter()
            .all(|condition| condition.holds(&open, &Default::default()) != Truth::False)
}

fn inert(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.allows_identity() {
        return;
    }
    let on_keys: ActionSet = view
        .compiled
        .actions
        .iter()
        .filter(|action| action.row().resource == ResourceKind::Key)
        .collect();
    for (text, span) in view.texts("Resource") {
        let Some(key) = view.of.set.snapshot.key(text) else { continue };
        let own = Some(key.account) == view.of.account;
        let mut actions = on_keys.iter().peekable();
        let nothing = own
            && actions.peek().is_some()
            && !actions.any(|action| {
                resource_statements(view.of.set, key)
                    .any(|statement| enables(statement, key, action))
            });
        if nothing {
            let message = format!("the policy of `{text}` leaves none of these actions to IAM");
            report.at(span, message);
        }
    }
}

fn resource_not_key_arn(view: &StatementView<'_>, report: &mut Report<'_>) {
    if view.in_key_policy() || !view.is_kms_only() {
        return;
    }
    let alias_actions = [Action::CreateAlias, Action::UpdateAlias, Action::DeleteAlias];
    let on_alias = alias_actions.iter().any(|action| view.compiled.actions.contains(*action));
    for (text, span) in view.texts("Resource") {
        let alias = Arn::parse(text)
            .is_some_and(|arn| arn.service() == "kms" && arn.resource().starts_with("alias/"));
        // A wildcard before the first colon may stand for `arn`: such a Deny denies.
        let scheme = text.split(':').next().unwrap_or_default();
        if !ResourcePattern::is_arn(text) && !scheme.contains(['*', '?']) {
            report.at(span, format!("`{text}` is no ARN, and matches nothing"));
        } else if alias && !on_alias && !view.compiled.actions.is_empty() {
            report.at(span, "the ARN of an alias is matched by no operation on a key");
        }
    }
}

fn needs_every_resource(view: &StatementView<'_>, report: &mut Report<'_>) {
    if !view.allows_identity() {
        return;
    }
    let Resources::These(_) = view.compiled.resources else { return };
    let on_keys = view.texts("Resource").iter().all(|(text, _)| text.contains(":key/"));
    if !on_keys {
        return;
    }
    for (action, span) in view.spelt_actions() {
        if action.row().resource == ResourceKind::Account {
            report.at(span, format!("`{}` is authorized on `*`, never on a key", action.name()));
        }
    }
}
