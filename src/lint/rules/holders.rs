//! Users and roles, with all of their policies. The engine is asked.

use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::policy::arn_pattern::Target;
use crate::engine::policy::statement::{Effect, Statement};
use crate::engine::snapshot::Key;
use crate::engine::term::truth::Truth;
use crate::lint::ask::{Can, Probe, can};
use crate::lint::open::Open;
use crate::lint::rule::{Check, Example, Rule, Severity};
use crate::lint::view::{IdentityView, Report, member_span};

pub(super) const RULES: &[Rule] = &[Rule {
    code: "identity-admin-and-use",
    severity: Severity::SecurityWarning,
    title: "a user or role whose policies let it both administer and use a key",
    why: "Its identity policies, together, let it change the policy of a key or delete it, and use it: one stolen \
          credential is enough for everything.",
    advice: "give administration and use to different roles",
    source: "AWS KMS Developer Guide, \"Best practices for IAM policies\"; AWS Prescriptive Guidance, \"Encryption best \
             practices\" (separation of duties)",
    bad: Example::Document(
        r#"{"Keys": [{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}, "Policy": "default"}],
 "RoleDetailList": [{"RoleName": "App", "Arn": "arn:aws:iam::111122223333:role/App", "RolePolicyList": [
  {"PolicyName": "Use", "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
   "Action": ["kms:PutKeyPolicy", "kms:GetKeyPolicy", "kms:Encrypt"],
   "Resource": "arn:aws:kms:us-west-2:111122223333:key/1"}]}}]}]}"#,
    ),
    good: Example::Document(
        r#"{"Keys": [{"KeyMetadata": {"Arn": "arn:aws:kms:us-west-2:111122223333:key/1"}, "Policy": "default"}],
 "RoleDetailList": [{"RoleName": "App", "Arn": "arn:aws:iam::111122223333:role/App", "RolePolicyList": [
  {"PolicyName": "Use", "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow",
   "Action": ["kms:DescribeKey", "kms:Encrypt"],
   "Resource": "arn:aws:kms:us-west-2:111122223333:key/1"}]}}]}]}"#,
    ),
    check: Check::Identity(admin_and_use),
}];

/// What takes a key over, or away.
const DECISIVE: [Action; 2] = [Action::PutKeyPolicy, Action::ScheduleKeyDeletion];

fn admin_and_use(view: &IdentityView<'_>, report: &mut Report<'_>) {
    let Some(probe) = Probe::identity(view.identity) else { return };
    let cryptography: ActionSet =
        Action::ALL.iter().copied().filter(|action| action.is_cryptographic()).collect();
    let allows: Vec<&Statement> = view
        .identity
        .policies
        .iter()
        .flat_map(|attached| attached.policy.statements())
        .map(|statement| &**statement)
        .filter(|statement| statement.effect == Effect::Allow)
        .collect();
    // Most can do neither with any key: that is seen without asking.
    let mentions = |wanted: ActionSet| {
        let mut all = allows.iter().flat_map(|statement| statement.actions.iter());
        all.any(|action| wanted.contains(action))
    };
    if !mentions(DECISIVE.into_iter().collect()) || !mentions(cryptography) {
        return;
    }
    let can_one = |key: &Key, actions: ActionSet| {
        let mut wanted = actions.iter().filter(|action| covers(&allows, key, *action));
        wanted.find(|action| can(view.set, key, &probe, *action) > Can::No)
    };
    let mut found: Option<(&Key, Action, Action)> = None;
    let keys = view.set.snapshot.keys.values();
    for key in keys.filter(|key| key.account == view.identity.account && !key.aws_managed) {
        // The same key is named whatever the order in which they are looked at.
        if found.is_some_and(|(named, ..)| named.arn < key.arn) {
            continue;
        }
        let admin = can_one(key, DECISIVE.into_iter().collect());
        if let Some(admin) = admin
            && let Some(used) = can_one(key, cryptography)
        {
            found = Some((key, admin, used));
        }
    }
    if let Some((key, admin, used)) = found {
        let message =
            format!("it may both {} and {} with `{}`", admin.name(), used.name(), key.arn);
        report.at(member_span(view.json, &["Arn"]), message);
    }
}

/// Whether an Allow may be about an action on a key.
fn covers(allows: &[&Statement], key: &Key, action: Action) -> bool {
    let target = Target::new(&key.arn);
    let open = Open { action, key: Some(key), caller: None, root: None };
    allows.iter().any(|statement| {
        statement.actions.contains(action)
            && statement.resources.match_target(&target, &open) != Truth::False
    })
}
