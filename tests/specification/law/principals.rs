//! Which principal values name the caller, and how.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal", "NotPrincipal".

use serde_json::Value;

use super::caller::{Caller, Kind};
use super::policy::texts;
use super::switches::Switches;
use super::truth::Truth;
use super::{Refusal, arn};

/// The principals that a statement names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Principals {
    /// `"*"`
    pub(crate) everyone: bool,
    pub(crate) aws: Vec<String>,
    service: Vec<String>,
}

impl Principals {
    pub(crate) fn read(value: &Value) -> Result<Self, Refusal> {
        let mut principals = Self { everyone: false, aws: Vec::new(), service: Vec::new() };
        match value {
            Value::String(all) if all == "*" => principals.everyone = true,
            Value::Object(members) if !members.is_empty() => {
                for (form, names) in members {
                    let names = texts(names)?;
                    match form.as_str() {
                        "AWS" if names.iter().all(|n| is_aws_principal(n)) => {
                            principals.aws = names
                        }
                        "Service" if names.iter().all(|n| is_service(n)) => {
                            principals.service = names;
                        }
                        "Federated" => {} // Identity providers never call KMS.
                        _ => return Err(Refusal::Policy),
                    }
                }
            }
            _ => return Err(Refusal::Policy),
        }
        Ok(principals)
    }
}

/// `logs.amazonaws.com`
pub(crate) fn is_service(name: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let words: Vec<&str> = name.split('.').collect();
    words.len() >= 3 && words.iter().all(|word| !word.is_empty() && word.chars().all(sign))
}

/// Whole names only: no wildcard but `*` alone.
pub(crate) fn is_aws_principal(name: &str) -> bool {
    if name == "*" || arn::is_account_id(name) || is_unique_id(name) {
        return true;
    }
    let Some([_, partition, service, region, account, resource]) = arn::parts(name) else {
        return false;
    };
    // A name that nobody can have would match nothing, in a Deny too.
    let lawful_partition = partition.len() <= 11
        && partition.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !lawful_partition || !name.chars().all(|c| c.is_ascii_graphic()) {
        return false;
    }
    let path: Vec<&str> = resource.split('/').collect();
    let named = path.last().is_some_and(|last| is_name(last));
    let lawful_resource = match (service, path.as_slice()) {
        ("iam", ["root"]) => true,
        ("iam", ["user" | "role", _, ..]) => named,
        ("sts", ["assumed-role", role, _]) => is_name(role) && named,
        ("sts", ["federated-user", _]) => named,
        _ => false,
    };
    let lawful_account = region.is_empty() && arn::is_account_id(account);
    lawful_account && lawful_resource && !name.contains(['*', '?'])
}

/// Names of IAM users, roles and sessions.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c))
}

/// `AIDA…` and `AROA…`: what is left of a deleted user or role.
fn is_unique_id(name: &str) -> bool {
    let prefixed = name.starts_with("AIDA") || name.starts_with("AROA");
    let sign = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    prefixed && (5..=128).contains(&name.len()) && name.chars().all(sign)
}

/// How a principal value names the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// `"*"`: direct.
    Everyone,
    /// `{"AWS":"*"}`: direct.
    EveryAwsIdentity,
    /// The user, the session, the federated user or the service itself: direct.
    Itself,
    /// The role of a session: role.
    ItsRole,
    /// The user behind a federated session: user.
    ItsUser,
    /// The account: account.
    ItsAccount,
}

/// Every way in which the principals name the caller.
pub(crate) fn namings(principals: &Principals, caller: &Caller) -> Vec<(Naming, Truth)> {
    let mut namings = Vec::new();
    if principals.everyone {
        namings.push((Naming::Everyone, Truth::True));
    }
    for value in &principals.aws {
        if value == "*" {
            namings.push((Naming::EveryAwsIdentity, Truth::True));
        } else if let Some(naming) = naming_by_value(value, caller) {
            namings.push(naming);
        }
    }
    if caller.kind == Kind::Service && principals.service.contains(&caller.arn) {
        namings.push((Naming::Itself, Truth::True));
    }
    namings
}

/// One value under `AWS`, or a grantee.
pub(crate) fn naming_by_value(value: &str, caller: &Caller<'_>) -> Option<(Naming, Truth)> {
    if let Some(account) = arn::account_principal(value) {
        let is_own = caller.account.as_deref() == Some(account);
        // The same digits in another partition are another account.
        let elsewhere = !arn::is_account_id(value) && !arn::same_partition(value, &caller.arn);
        let truth = if elsewhere { Truth::Unsure } else { Truth::True };
        return is_own.then_some((Naming::ItsAccount, truth));
    }
    if is_unique_id(value) {
        return naming_by_unique_id(value, caller);
    }
    if value == caller.arn {
        return Some((Naming::Itself, Truth::True));
    }
    // Where nobody said which role or user is behind the session, it may be any that fits.
    let may_be = |named: bool| {
        let same_name = named && arn::last_name(value) == caller.name;
        let same_account = arn::account(value) == caller.account.as_deref();
        same_account && arn::same_partition(value, &caller.arn) && (same_name || !named)
    };
    let (naming, behind, unsure) = match caller.kind {
        Kind::Session if arn::after(value, "role/").is_some() => {
            (Naming::ItsRole, &caller.role_arn, may_be(true))
        }
        Kind::Federated if arn::after(value, "user/").is_some() => {
            (Naming::ItsUser, &caller.issuer_arn, may_be(caller.issuer_is_a_namesake))
        }
        _ => return None,
    };
    match behind {
        Some(behind) => (behind == value).then_some((naming, Truth::True)),
        None => unsure.then_some((naming, Truth::Unsure)),
    }
}

/// What is left of a deleted user or role names no namesake that was made later.
fn naming_by_unique_id(id: &str, caller: &Caller<'_>) -> Option<(Naming, Truth)> {
    let naming = match caller.kind {
        Kind::User if id.starts_with("AIDA") => Naming::Itself,
        Kind::Federated if id.starts_with("AIDA") => Naming::ItsUser,
        Kind::Session if id.starts_with("AROA") => Naming::ItsRole,
        _ => return None,
    };
    match caller.unique_id() {
        Some(own) => (own == id).then_some((naming, Truth::True)),
        None => Some((naming, Truth::Unsure)),
    }
}

/// Principal of a Deny, and of statements outside key policies: any naming will do.
pub(crate) fn name_for_deny(principals: &Principals, caller: &Caller) -> Truth {
    Truth::any(namings(principals, caller).into_iter().map(|(_, truth)| truth))
}

/// Principal of an Allow in an endpoint policy or RCP.
pub(crate) fn name_for_allow(
    principals: &Principals,
    caller: &Caller,
    switches: &Switches,
) -> Truth {
    let counts = |naming: &Naming| match naming {
        Naming::EveryAwsIdentity if caller.kind == Kind::Service => {
            switches.is("aws_star_matches_service", "true")
        }
        _ => true,
    };
    let namings = namings(principals, caller).into_iter();
    Truth::any(namings.filter(|(naming, _)| counts(naming)).map(|(_, truth)| truth))
}

/// Whether a Deny with NotPrincipal applies to the caller. It is left out only if every link of its
/// chain is listed, account first; a caller with a permissions boundary never is.
pub(crate) fn not_principal_applies(
    listed: &Principals,
    caller: &Caller<'_>,
    switches: &Switches,
) -> Truth {
    if caller.boundary().is_some() {
        return Truth::True;
    }
    let namings = namings(listed, caller);
    let lists = |wanted: Naming| {
        let counts = |naming: Naming| match naming {
            Naming::Everyone => true,
            Naming::EveryAwsIdentity => caller.kind != Kind::Service,
            naming => naming == wanted,
        };
        let found = namings.iter().filter(|(naming, _)| counts(*naming));
        Truth::any(found.map(|(_, truth)| *truth))
    };
    let account = match switches.is("notprincipal_requires_account", "true") {
        true => lists(Naming::ItsAccount),
        false => Truth::True,
    };
    let left_out = match caller.kind {
        Kind::Root => lists(Naming::ItsAccount),
        Kind::Service => lists(Naming::Itself),
        Kind::User | Kind::Federated => account.and(lists(Naming::Itself)),
        Kind::Session => {
            // Sessions of the role in the list leave out these sessions alone.
            let of_this_role = |value: &&String| is_session_of(value, caller);
            let sessions: Vec<&String> = listed.aws.iter().filter(of_this_role).collect();
            let session = sessions.is_empty() || sessions.contains(&&caller.arn);
            account.and(lists(Naming::ItsRole)).and(Truth::of(session))
        }
    };
    left_out.not()
}

fn is_session_of(value: &str, caller: &Caller<'_>) -> bool {
    let role = arn::after(value, "assumed-role/").and_then(|rest| rest.split('/').next());
    arn::account(value) == caller.account.as_deref() && role == Some(caller.name.as_str())
}
