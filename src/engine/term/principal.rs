//! Who asks: users, sessions, root users and services.

use super::account::AccountId;
use super::arn::Arn;
use super::text::{Alphabet, position};

/// A caller, as named in a request.
///
/// Source: IAM User Guide, "AWS JSON policy elements: Principal"; "Policy variables" (values of the
/// principal keys).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Principal<'a> {
    /// The root user of an account.
    Root {
        /// `arn:aws:iam::111122223333:root`.
        arn: &'a str,
        /// Its account.
        account: AccountId,
    },
    /// An IAM user.
    User {
        /// `arn:aws:iam::111122223333:user/path/Name`.
        arn: &'a str,
        /// Its account.
        account: AccountId,
        /// The name without the path.
        name: &'a str,
    },
    /// A session of an IAM role.
    Session {
        /// `arn:aws:sts::111122223333:assumed-role/Role/session`.
        arn: &'a str,
        /// The account of the role.
        account: AccountId,
        /// The name of the role without its path.
        role: &'a str,
        /// The name of the session.
        session: &'a str,
    },
    /// A session from GetFederationToken.
    Federated {
        /// `arn:aws:sts::111122223333:federated-user/Name`.
        arn: &'a str,
        /// The account of the user who federated.
        account: AccountId,
        /// The name of the session.
        name: &'a str,
    },
    /// An AWS service that acts as itself, such as `s3.amazonaws.com`.
    Service {
        /// Its name.
        name: &'a str,
    },
}

impl<'a> Principal<'a> {
    /// Reads a principal.
    ///
    /// # Errors
    ///
    /// The text is none of the forms above; a role is not a caller (its sessions are).
    pub fn parse(text: &'a str) -> Result<Self, InvalidPrincipal> {
        if !text.starts_with("arn:") && is_service(text) {
            return Ok(Self::Service { name: text });
        }
        let invalid = |expected| InvalidPrincipal { text: text.to_owned(), expected };
        let arn = Arn::parse(text).ok_or_else(|| invalid("an ARN or a service name"))?;
        let account = arn.account_id().ok_or_else(|| invalid("an account of twelve digits"))?;
        if arn.has_region() {
            return Err(invalid("no Region in the ARN of a principal"));
        }
        let (service, resource) = (arn.service(), arn.resource());
        let of_kind = |kind| match resource.strip_prefix(kind) {
            Some("") => Some(""),
            Some(rest) => rest.strip_prefix('/'),
            None => None,
        };
        if service == "sts" {
            if let Some(rest) = of_kind("assumed-role") {
                return match split(rest) {
                    Some((role, session)) if is_name(role) && is_name(session) => {
                        Ok(Self::Session { arn: text, account, role, session })
                    }
                    _ => Err(invalid("`assumed-role/Role/session`")),
                };
            }
            if let Some(name) = of_kind("federated-user").filter(|name| is_name(name)) {
                return Ok(Self::Federated { arn: text, account, name });
            }
        }
        if service == "iam" {
            if resource == "root" {
                return Ok(Self::Root { arn: text, account });
            }
            if let Some(rest) = of_kind("user") {
                let name = rest.rsplit('/').next().unwrap_or_default();
                if !is_name(name) {
                    return Err(invalid("a user name after `user/`"));
                }
                return Ok(Self::User { arn: text, account, name });
            }
            if of_kind("role").is_some() {
                return Err(invalid(
                    "a session of the role, such as `arn:aws:sts::111122223333:assumed-role/Role/session`, with the role in `role_arn`",
                ));
            }
        }
        Err(invalid("a user, an assumed-role session, a federated user, a root user or a service"))
    }

    /// The account; a service has none.
    #[must_use]
    pub fn account(&self) -> Option<AccountId> {
        match self {
            Self::Root { account, .. }
            | Self::User { account, .. }
            | Self::Session { account, .. }
            | Self::Federated { account, .. } => Some(*account),
            Self::Service { .. } => None,
        }
    }

    /// The digits of the account; a service has none.
    #[must_use]
    pub fn account_text(&self) -> Option<&str> {
        match self {
            Self::Root { account, .. }
            | Self::User { account, .. }
            | Self::Session { account, .. }
            | Self::Federated { account, .. } => Some(account.as_str()),
            Self::Service { .. } => None,
        }
    }

    /// The ARN, or the name of a service.
    #[must_use]
    pub fn text(&self) -> &'a str {
        match self {
            Self::Root { arn, .. }
            | Self::User { arn, .. }
            | Self::Session { arn, .. }
            | Self::Federated { arn, .. } => arn,
            Self::Service { name } => name,
        }
    }
}

/// Whether `text` has the form of a service name: `s3.amazonaws.com`, `logs.eu-west-1.amazonaws.com`.
///
/// Source: AWS KMS API Reference, `CreateGrant` (`GranteeServicePrincipal`).
#[must_use]
pub fn is_service(text: &str) -> bool {
    let labels = || text.split('.');
    text.len() <= 128
        && labels().count() >= 3
        && labels().all(|label| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        })
}

static NAME: Alphabet<7> = Alphabet::with(*b"_+=,.@-");

/// Whether `text` can name an IAM user, role or session: word characters and `+=,.@-`.
#[must_use]
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128 && NAME.makes(text)
}

/// What is before the first `/`, and what is behind it.
fn split(text: &str) -> Option<(&str, &str)> {
    let (before, behind) = text.split_at_checked(position(text.as_bytes(), b'/')?)?;
    Some((before, behind.get(1..)?))
}

/// The text names no principal that can call KMS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid principal `{text}`: expected {expected}")]
pub struct InvalidPrincipal {
    text: String,
    expected: &'static str,
}

#[cfg(test)]
mod tests {
    use super::Principal;

    #[track_caller]
    fn check(text: &str, kind: Option<&str>) {
        let found = Principal::parse(text).ok().map(|principal| match principal {
            Principal::Root { .. } => "root",
            Principal::User { name, .. } => name,
            Principal::Session { role, .. } => role,
            Principal::Federated { name, .. } => name,
            Principal::Service { name } => name,
        });
        assert_eq!(found, kind, "{text:?}");
    }

    #[test]
    fn the_five_kinds_of_callers_are_told_apart() {
        check("arn:aws:iam::111122223333:root", Some("root"));
        check("arn:aws:iam::111122223333:user/team/a/Alice", Some("Alice"));
        check("arn:aws:sts::111122223333:assumed-role/App/i-1", Some("App"));
        check("arn:aws:sts::111122223333:federated-user/Bob", Some("Bob"));
        check("s3.amazonaws.com", Some("s3.amazonaws.com"));
    }

    #[test]
    fn what_cannot_call_kms_is_refused() {
        check("", None);
        check("*", None);
        check("arn:aws:iam::111122223333:role/App", None);
        check("arn:aws:iam::111122223333:group/Admins", None);
        check("arn:aws:iam::111122223333:root/x", None);
        check("arn:aws:iam::111122223333:user/", None);
        check("arn:aws:iam::1111:user/Alice", None);
        check("arn:aws:iam:us-east-1:111122223333:user/Alice", None);
        check("arn:aws:sts::111122223333:assumed-role/App", None);
        check("arn:aws:sts::111122223333:assumed-role/App/a/b", None);
        check("arn:aws:sts::111122223333:assumed-role/App/*", None);
    }
}
