//! Users and roles, with all of their policies. The engine is asked.

use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::policy::arn_pattern::{ResourcePattern, Target};
use crate::engine::policy::statement::{Effect, Resources, Statement};
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

/// Keys that are asked about, of those that the policies cover.
const MOST: usize = 64;

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
        let mut wanted = actions.iter();
        wanted.find(|action| can(view.set, key, &probe, *action) > Can::No)
    };
    let decisive: ActionSet = DECISIVE.into_iter().collect();
    let both = |all: ActionSet| {
        !all.intersection(decisive).is_empty() && !all.intersection(cryptography).is_empty()
    };
    let naming = view.set.naming(&view.identity.arn);
    let all = view.set.keys();
    let exact = exact_resources(&allows);
    let at = |arn: &&str| all.binary_search_by(|open| (*open.key.arn).cmp(arn)).ok();
    let keys: Box<dyn Iterator<Item = usize>> = match &exact {
        Some(arns) => Box::new(arns.iter().filter_map(at)),
        None => Box::new(0..all.len()),
    };
    let found = keys
        .filter_map(|at| Some((at, all.get(at)?)))
        .filter(|(_, open)| open.key.account == view.identity.account && !open.key.aws_managed)
        .filter(|(at, open)| both(open.left) || naming.binary_search(at).is_ok())
        .map(|(_, open)| (open.key, covered(&allows, open.key)))
        .filter(|(_, covered)| both(*covered))
        .take(MOST)
        .find_map(|(key, covered)| {
            let admin = can_one(key, covered.intersection(decisive))?;
            Some((key, admin, can_one(key, covered.intersection(cryptography))?))
        });
    if let Some((key, admin, used)) = found {
        let message =
            format!("it may both {} and {} with `{}`", admin.name(), used.name(), key.arn);
        report.at(member_span(view.json, &["Arn"]), message);
    }
}

/// The keys that the Allows are about, in the order of their ARNs, where they name each by its ARN.
fn exact_resources<'a>(allows: &[&'a Statement]) -> Option<Vec<&'a str>> {
    let mut found = Vec::new();
    for statement in allows.iter().filter(|statement| !statement.actions.is_empty()) {
        let Resources::These(patterns) = &statement.resources else { return None };
        for pattern in patterns {
            let ResourcePattern::Exact(arn) = pattern else { return None };
            found.push(&**arn);
        }
    }
    found.sort_unstable();
    found.dedup();
    Some(found)
}

/// What Allows may be about on a key.
fn covered(allows: &[&Statement], key: &Key) -> ActionSet {
    let target = Target::new(&key.arn);
    let open = Open { action: Action::DescribeKey, key: Some(key), caller: None, root: None };
    let about = allows
        .iter()
        .filter(|statement| statement.resources.match_target(&target, &open) != Truth::False);
    about.fold(ActionSet::EMPTY, |all, statement| all.union(statement.actions))
}
