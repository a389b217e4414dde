//! Amazon resource names, as plain text.

/// The six parts of an ARN; none if the text is no ARN.
pub(crate) fn parts(text: &str) -> Option<[&str; 6]> {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let parts: [&str; 6] = parts.try_into().ok()?;
    let named = ![parts[1], parts[2], parts[5]].contains(&"");
    (parts[0] == "arn" && named).then_some(parts)
}

pub(crate) fn partition(arn: &str) -> Option<&str> {
    parts(arn).map(|p| p[1])
}

/// Accounts, principals and keys of one partition do not exist in another.
pub(crate) fn same_partition(one: &str, other: &str) -> bool {
    partition(one) == partition(other)
}

pub(crate) fn region(arn: &str) -> Option<&str> {
    parts(arn).map(|p| p[3])
}

pub(crate) fn account(arn: &str) -> Option<&str> {
    parts(arn).map(|p| p[4])
}

/// What stands after the fifth colon, without `prefix`.
pub(crate) fn after<'a>(arn: &'a str, prefix: &str) -> Option<&'a str> {
    parts(arn)?[5].strip_prefix(prefix)
}

pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.chars().all(|c| c.is_ascii_digit())
}

/// The account that an account principal names: `arn:aws:iam::A:root` or `A`.
pub(crate) fn account_principal(text: &str) -> Option<&str> {
    if is_account_id(text) {
        return Some(text);
    }
    let parts = parts(text)?;
    (parts[2] == "iam" && parts[5] == "root").then_some(parts[4])
}

/// The name at the end of a path: `App` of `role/team/App`.
pub(crate) fn last_name(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}
