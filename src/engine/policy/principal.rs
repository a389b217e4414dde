//! Principals as policies and grants write them.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal".

use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;
use crate::engine::term::partition::Partition;
use crate::engine::term::principal::{is_name, is_service};

/// A principal of a policy or a grant. Compared exactly: only the whole value `*` is a wildcard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalPattern {
    /// `"*"`: everyone.
    Everyone,
    /// `{"AWS": "*"}`: every AWS identity.
    AnyAws,
    /// An account, by its root ARN or its id; the id names no partition.
    Account(AccountId, Option<Partition>),
    /// An IAM user, by ARN.
    User(Box<str>),
    /// Every session of an IAM role, by ARN.
    Role(Box<str>),
    /// One session of a role, by ARN.
    Session(Box<str>),
    /// A federated user, by ARN.
    Federated(Box<str>),
    /// An AWS service.
    Service(Box<str>),
    /// What remains of a deleted user or role: its unique id.
    UniqueId(Box<str>),
    /// An identity provider: never calls KMS.
    Provider(Box<str>),
}

impl PrincipalPattern {
    /// Reads a value of `"AWS"`, or the grantee of a grant.
    ///
    /// # Errors
    ///
    /// What was expected instead.
    pub fn aws(text: &str) -> Result<Self, &'static str> {
        if text == "*" {
            return Ok(Self::AnyAws);
        }
        if let Some(account) = AccountId::parse(text) {
            return Ok(Self::Account(account, None));
        }
        if is_unique_id(text) {
            return Ok(Self::UniqueId(text.into()));
        }
        let arn = Arn::parse(text).ok_or("an ARN, a twelve-digit account id, or `*`")?;
        let account = arn.account_id().ok_or("an ARN with a twelve-digit account id")?;
        if !arn.region().is_empty() {
            return Err("no Region in the ARN of a principal");
        }
        let partition = Partition::parse(arn.partition());
        let partition = partition.ok_or("an ARN with a partition such as `aws`")?;
        if text.contains(['*', '?']) {
            return Err("no wildcard inside the ARN of a principal: only `*` alone is one");
        }
        let (kind, name) = arn.resource().split_once('/').unwrap_or((arn.resource(), ""));
        let named = name.rsplit('/').next().is_some_and(is_name);
        // A name that nobody can have would match nothing, in a Deny too.
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("no blanks, and no characters beyond ASCII, in the ARN of a principal");
        }
        match (arn.service(), kind) {
            ("iam", "root") if arn.resource() == "root" => {
                Ok(Self::Account(account, Some(partition)))
            }
            ("iam", "user") if named => Ok(Self::User(text.into())),
            ("iam", "role") if named => Ok(Self::Role(text.into())),
            ("sts", "assumed-role")
                if name
                    .split_once('/')
                    .is_some_and(|(role, session)| is_name(role) && is_name(session)) =>
            {
                Ok(Self::Session(text.into()))
            }
            ("sts", "federated-user") if named && !name.contains('/') => {
                Ok(Self::Federated(text.into()))
            }
            ("iam", "group") => Err("a user or a role: a group cannot be a principal"),
            ("organizations", _) => Err(
                "a user, role or account: an organization cannot be a principal (use `aws:PrincipalOrgID`)",
            ),
            _ => Err("the ARN of a user, role, role session, federated user or account root"),
        }
    }

    /// As policies write it.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Everyone | Self::AnyAws => "*".to_owned(),
            Self::Account(account, None) => account.to_string(),
            Self::Account(account, Some(partition)) => {
                format!("arn:{partition}:iam::{account}:root")
            }
            Self::User(text)
            | Self::Role(text)
            | Self::Session(text)
            | Self::Federated(text)
            | Self::Service(text)
            | Self::UniqueId(text)
            | Self::Provider(text) => text.to_string(),
        }
    }

    /// Reads a value of `"Service"`.
    ///
    /// # Errors
    ///
    /// What was expected instead.
    pub fn service(text: &str) -> Result<Self, &'static str> {
        if is_service(text) {
            Ok(Self::Service(text.into()))
        } else {
            Err("the name of a service, such as `logs.amazonaws.com`")
        }
    }
}

/// Unique ids of IAM entities, as IAM writes them in place of a deleted principal.
///
/// Source: IAM User Guide, "IAM identifiers" (unique identifiers).
fn is_unique_id(text: &str) -> bool {
    ["AIDA", "AROA"].iter().any(|prefix| text.starts_with(prefix))
        && (5..=128).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::PrincipalPattern;

    #[track_caller]
    fn check(text: &str, valid: bool) {
        assert_eq!(PrincipalPattern::aws(text).is_ok(), valid, "{text:?}");
    }

    #[test]
    fn principals_are_whole_names() {
        check("*", true);
        check("111122223333", true);
        check("arn:aws:iam::111122223333:root", true);
        check("arn:aws:iam::111122223333:user/team/Alice", true);
        check("arn:aws:iam::111122223333:role/App", true);
        check("arn:aws:sts::111122223333:assumed-role/App/s", true);
        check("arn:aws:sts::111122223333:federated-user/Bob", true);
        check("AIDACKCEVSQ6C2EXAMPLE", true);
    }

    #[test]
    fn what_cannot_be_a_principal_is_refused() {
        check("", false);
        check("arn:aws:iam::111122223333:user/*", false);
        check("arn:aws:iam::*:root", false);
        check("arn:aws:iam::111122223333:group/Admins", false);
        check("arn:aws:iam::111122223333:user/", false);
        check("arn:aws:sts::111122223333:assumed-role/App", false);
        check("arn:aws:s3:::bucket", false);
        check("AIDA", false);
    }

    #[test]
    fn a_name_that_nobody_can_have_is_refused() {
        for tail in ["user/Bob ", "user/Bob\t", "user/a b/Bob", "role/Ä", "role/a:b", "user/a//"] {
            check(&format!("arn:aws:iam::111122223333:{tail}"), false);
        }
        check("arn:aws:sts::111122223333:assumed-role/App/s 1", false);
        check("arn:aws:sts::111122223333:assumed-role//s1", false);
        check("arn:aws:sts::111122223333:assumed-role/App/s/1", false);
        check("arn:aws:sts::111122223333:federated-user/Bob ", false);
        check(" arn:aws:iam::111122223333:root", false);
        check("arn:aws :iam::111122223333:root", false);
        check("111122223333 ", false);
        check("AIDACKCEVSQ6C2EXAMPLE ", false);
        check(" *", false);
    }
}
