//! What a finding claims, in a form that a request can contradict.

use keyward::engine::kms::action::ActionSet;
use keyward::engine::kms::table::ResourceKind;
use keyward::engine::snapshot::Snapshot;
use keyward::lint::finding::Finding;
use serde_json::{Value, json};

use super::{Subject, read};
use crate::law::arn;
use crate::policies_of::{each_policy, statements};

/// What a claim comes to.
pub(super) enum Says {
    /// No request of those that it is about is allowed.
    NeverAllowed,
    /// Each request is decided as by this set.
    Alike(Snapshot),
    /// Each request that is allowed by one of the sets is allowed by the other.
    AllowedAlike(Snapshot),
}

/// A claim.
pub(super) struct Claim {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) says: Says,
    /// The key that it is about.
    pub(super) key: Option<String>,
    /// The action that it is about.
    pub(super) action: Option<String>,
    /// Whose requests it is about, as a policy names them.
    pub(super) principal: Option<String>,
    /// The account whose requests it is about.
    pub(super) account: Option<String>,
    /// Whether it is about requests with nothing in particular.
    pub(super) bare: bool,
    /// Whether it is about actions alone of which key policies have a say.
    pub(super) of_key_policy: bool,
    /// The statement that it is about.
    pub(super) statement: Value,
}

/// The texts in backticks of a message.
fn quoted(message: &str) -> Vec<&str> {
    message.split('`').skip(1).step_by(2).collect()
}

/// The set with a statement that reads differently.
fn with(subject: &Subject, sid: &str, change: &dyn Fn(&mut Value)) -> Option<Snapshot> {
    let mut set = subject.set.clone();
    each_policy(&mut set, &mut |_, policy| {
        let one = |statement: &mut Value| {
            if statement["Sid"] == sid {
                change(statement);
            }
        };
        match &mut policy["Statement"] {
            Value::Array(all) => all.iter_mut().for_each(one),
            statement => one(statement),
        }
    });
    read(&set).map(|case| case.snapshot)
}

/// A statement that is about nothing.
fn gone(statement: &mut Value) {
    if let Some(members) = statement.as_object_mut() {
        members.remove("NotAction");
    }
    statement["Action"] = json!("kms:NoSuchAction");
}

/// Replaces a text wherever it stands below the value.
fn replace(value: &mut Value, old: &str, new: &str) {
    match value {
        Value::String(text) if text == old => new.clone_into(text),
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, old, new)),
        Value::Object(members) => {
            members.values_mut().for_each(|member| replace(member, old, new));
        }
        _ => {}
    }
}

/// Whether a condition on this key, and no other, was taken out.
fn without_condition(statement: &mut Value, key: &str) -> bool {
    let Some(operators) = statement["Condition"].as_object_mut() else { return false };
    let mut taken = 0;
    for keys in operators.values_mut() {
        let Some(keys) = keys.as_object_mut() else { return false };
        let before = keys.len();
        keys.retain(|name, _| !name.eq_ignore_ascii_case(key));
        taken += before - keys.len();
    }
    operators.retain(|_, keys| keys.as_object().is_some_and(|keys| !keys.is_empty()));
    taken == 1
}

fn statement_of(subject: &Subject, sid: &str) -> Option<Value> {
    let mut found = None;
    each_policy(&mut subject.set.clone(), &mut |_, policy| {
        let mut all = statements(policy).into_iter();
        found = found.take().or_else(|| all.find(|one| one["Sid"] == sid).cloned());
    });
    found
}

impl Claim {
    /// What a finding claims; `None` where it claims nothing about requests.
    pub(super) fn of(finding: &Finding, subject: &Subject) -> Option<Self> {
        let code = finding.rule.code;
        let sid = finding.sid.as_deref();
        let message = &finding.message;
        let words = quoted(message);
        let word = |at: usize| words.get(at).map(|word| (*word).to_owned());
        let key = finding.subject.contains(":key/").then(|| finding.subject.to_string());
        let blank = Self {
            code,
            message: message.clone(),
            says: Says::NeverAllowed,
            key: key.clone(),
            action: None,
            principal: None,
            account: None,
            bare: false,
            of_key_policy: false,
            statement: sid.and_then(|sid| statement_of(subject, sid)).unwrap_or_default(),
        };
        let alike = |change: &dyn Fn(&mut Value)| Some(Says::Alike(with(subject, sid?, change)?));
        let put = || Some("kms:PutKeyPolicy".to_owned());
        Some(match code {
            "lockout" => Self { action: put(), ..blank },
            "lockout-under-conditions" => Self { action: put(), bare: true, ..blank },
            "delegation-missing" => {
                // There both must allow; and a grant may be made to the account.
                let documents = subject.set["documents"].to_string();
                let to_account = documents.contains(":root\",\"Operations")
                    || documents.contains("\"GranteePrincipal\":\"1111")
                    || documents.contains("PermissionsBoundary");
                if subject.set["options"].to_string().contains("dual-control") || to_account {
                    return None;
                }
                let account = key.as_deref().and_then(arn::account).map(str::to_owned);
                let mut set = subject.set.clone();
                each_policy(&mut set, &mut |layer, policy| {
                    if layer == crate::generator::Layer::Identity {
                        let denies = |one: &&Value| one["Effect"] == "Deny";
                        let kept: Vec<Value> =
                            statements(policy).into_iter().filter(denies).cloned().collect();
                        policy["Statement"] = kept.into();
                    }
                });
                let says = Says::AllowedAlike(read(&set)?.snapshot);
                Self { says, account, of_key_policy: true, ..blank }
            }
            "administrator-cannot-read" => {
                Self { action: Some("kms:GetKeyPolicy".to_owned()), principal: word(0), ..blank }
            }
            "administrator-cannot-repair" => Self { action: put(), principal: word(0), ..blank },
            "deletion-cannot-be-cancelled" => {
                let action = Some("kms:CancelKeyDeletion".to_owned());
                Self { action, principal: word(0), ..blank }
            }
            "use-without-describe" => {
                Self { action: Some("kms:DescribeKey".to_owned()), principal: word(0), ..blank }
            }
            // A doubt about who asks denies.
            "deleted-principal" if blank.statement["Effect"] == "Deny" => return None,
            "deleted-principal" => {
                let nobody = "AIDANOBODYNOBODYNOBODY";
                Self {
                    says: alike(&|one| replace(&mut one["Principal"], words[0], nobody))?,
                    ..blank
                }
            }
            "never-across-accounts"
            | "no-effect-in-key-policy"
            | "condition-excludes-action"
            | "needs-every-resource" => Self { says: alike(&gone)?, action: word(0), ..blank },
            "hidden-by-deny"
            | "redundant-allow"
            | "condition-key-absent"
            | "condition-never-met"
            | "expired-date"
            | "resource-not-this-key"
            | "missing-resource"
            | "missing-action" => Self { says: alike(&gone)?, ..blank },
            "identity-allow-inert" => Self { says: alike(&gone)?, key: word(0), ..blank },
            "delegation-doubled" => {
                let accounts = [111_122_223_333_u64, 444_455_556_666];
                let says = alike(&|one| {
                    for account in accounts.map(|account| account.to_string()) {
                        if key.as_deref().and_then(arn::account) == Some(&account) {
                            let nobody = "arn:aws:iam::999999999999:user/nobody";
                            let root = format!("arn:aws:iam::{account}:root");
                            replace(&mut one["Principal"], &account, nobody);
                            replace(&mut one["Principal"], &root, nobody);
                        }
                    }
                })?;
                Self { says, ..blank }
            }
            "condition-always-met" => {
                let mut without = blank.statement.clone();
                if !without_condition(&mut without, words[0]) {
                    return None;
                }
                let says = alike(&|one| {
                    without_condition(one, words[0]);
                })?;
                Self { says, ..blank }
            }
            "resource-not-key-arn" => {
                let other = "arn:aws:kms:us-west-2:111122223333:key/none";
                let text = words.first().copied();
                let says = alike(&|one| match text {
                    Some(text) => replace(&mut one["Resource"], text, other),
                    // The ARN of an alias.
                    None => {
                        let mut texts = Vec::new();
                        each_text(&one["Resource"], &mut texts);
                        for text in texts.iter().filter(|text| text.contains(":alias/")) {
                            replace(&mut one["Resource"], text, other);
                        }
                    }
                })?;
                Self { says, ..blank }
            }
            "wrong-case-value" | "unknown-value" => {
                let says = alike(&|one| replace_operand(one, words[0], words[1]))?;
                Self { says, ..blank }
            }
            _ => return None,
        })
    }

    /// That an ordinary Allow of a key policy, in which nothing was found, could be missed.
    pub(super) fn that_is_false(subject: &Subject, found: &[Finding]) -> Option<Self> {
        let mut chosen: Option<Value> = None;
        each_policy(&mut subject.set.clone(), &mut |layer, policy| {
            for one in statements(policy) {
                let sid = one["Sid"].as_str().unwrap_or_default();
                let clean = !found.iter().any(|finding| finding.sid.as_deref() == Some(sid));
                let plain = one["Effect"] == "Allow" && one["NotResource"].is_null();
                if chosen.is_none() && layer == crate::generator::Layer::Key && plain && clean {
                    chosen = Some(one.clone());
                }
            }
        });
        let statement = chosen?;
        let sid = statement["Sid"].as_str()?.to_owned();
        Some(Self {
            code: "none",
            message: String::new(),
            says: Says::Alike(with(subject, &sid, &gone)?),
            key: None,
            action: None,
            principal: None,
            account: None,
            bare: false,
            of_key_policy: false,
            statement,
        })
    }

    /// Whether a request is of those that it is about.
    pub(super) fn is_about(&self, request: &Value) -> bool {
        let is = |wanted: &Option<String>, found: &Value| {
            wanted.as_deref().is_none_or(|wanted| found == wanted)
        };
        let caller = request["principal"]["arn"].as_str().unwrap_or_default();
        let account = arn::account(caller);
        let by = |wanted: &String| request["principal"]["roleArn"] == **wanted || caller == wanted;
        is(&self.key, &request["keyId"])
            && is(&self.action, &request["action"])
            && self.principal.as_ref().is_none_or(by)
            && self.account.as_deref().is_none_or(|wanted| account == Some(wanted))
            && (!self.of_key_policy || request["action"].as_str().is_some_and(is_of_key_policies))
            && (!self.bare || request["context"].is_null() && request["parameters"].is_null())
    }
}

/// Whether key policies have a say of an action.
fn is_of_key_policies(action: &str) -> bool {
    let named = action.strip_prefix("kms:").is_some_and(|name| name != "RetireGrant");
    let all = ActionSet::matching(action);
    named && all.iter().all(|action| action.row().resource == ResourceKind::Key)
}

fn each_text(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, found)),
        _ => {}
    }
}

fn replace_operand(statement: &mut Value, key: &str, operand: &str) {
    let operators = statement["Condition"].as_object_mut();
    for keys in operators.into_iter().flat_map(|operators| operators.values_mut()) {
        for (name, operands) in keys.as_object_mut().into_iter().flatten() {
            if name.eq_ignore_ascii_case(key) {
                replace(operands, operand, "keyward-none");
            }
        }
    }
}
