//! `AuthorizeRequest`: from the message to a checked request.

use std::mem::take;
use std::sync::Arc;

use super::parameters::parameters;
use super::shape::shape;
use super::view::View;
use crate::engine::kms::action::Action;
use crate::engine::kms::condition_key::{Supplier, find};
use crate::engine::kms::operation::Operation;
use crate::engine::policy::{Policy, session};
use crate::engine::term::arn::Arn;
use crate::engine::term::condition_key::has_form;
use crate::engine::term::few::Few;
use crate::engine::term::key_id::{KeyId, is_region};
use crate::engine::term::partition::same_partition;
use crate::engine::term::principal::{Principal, is_service};
use crate::engine::term::request::{
    Asked, Asserted, AssertedValues, Bound, InvalidRequest, Pairs, Request, Texts,
};
use crate::engine::term::text::{compare, same};
use crate::engine::term::time::Timestamp;
use crate::wire::v1;

/// Bounds of a request, in bytes or items.
mod bound {
    /// `request_id`.
    pub(super) const REQUEST_ID: usize = 256;
    /// Grant tokens; from the AWS KMS API Reference.
    pub(super) const GRANT_TOKENS: usize = 10;
    /// A grant token; from the AWS KMS API Reference.
    pub(super) const GRANT_TOKEN: usize = 8192;
    /// Session policies: IAM knows one inline policy and ten managed ones.
    pub(super) const SESSION_POLICIES: usize = 10;
    /// Tags, pairs of an encryption context, condition keys, values of one key.
    pub(super) const ITEMS: usize = 1000;
    /// A text in one of these.
    pub(super) const TEXT: usize = 8192;
}

type Refused<T> = Result<T, InvalidRequest>;

/// Compiles session policies, or finds them compiled. The name goes into places of problems.
pub type Sessions<'c> =
    &'c dyn Fn(&str, &str) -> Result<Arc<Policy>, crate::engine::problem::Problems>;

/// Reads a request, compiling its session policies.
///
/// # Errors
///
/// The first field that is wrong.
pub fn request(message: &v1::AuthorizeRequest, now: Timestamp) -> Refused<Request<'_>> {
    request_with(&mut View::of(message), now, &session)
}

/// Reads a request; session policies come from `sessions`. The lists of the message go into it: a
/// message is long, and is moved as seldom as can be.
///
/// # Errors
///
/// The first field that is wrong.
pub fn request_with<'a>(
    message: &mut View<'a>,
    now: Timestamp,
    sessions: Sessions<'_>,
) -> Refused<Request<'a>> {
    if message.request_id.len() > bound::REQUEST_ID {
        return refuse("request_id", format!("longer than {} bytes", bound::REQUEST_ID));
    }
    let from = message.principal.as_mut();
    let from = from.ok_or_else(|| InvalidRequest::new("principal", "missing: say who asks"))?;
    let principal = Principal::parse(from.arn)
        .map_err(|error| InvalidRequest::new("principal.arn", error.to_string()))?;
    let asked = asked(message.action)?;
    let request = Request {
        principal,
        role_arn: role_arn(from.role_arn, &principal)?,
        issuer_arn: issuer_arn(from.issuer_arn, &principal)?,
        session_tags: pairs("principal.tags", take(&mut from.tags))?,
        session_policies: session_policies(&from.session_policies, sessions)?,
        user_id: optional(from.user_id),
        source_identity: optional(from.source_identity),
        asked,
        key_id: key_id("key_id", message.key_id)?,
        encryption_context: encryption_context(
            "encryption_context",
            take(&mut message.encryption_context),
        )?,
        grant_tokens: grant_tokens(take(&mut message.grant_tokens))?,
        context: context(&message.context, take(&mut message.multivalued_context))?,
        parameters: parameters(message.parameters.take())?,
        region: region("region", message.region)?,
        via_service: via_service(message.via_service)?,
        dry_run: message.dry_run,
        now,
        overrides: Vec::new(),
    };
    shape(&request)?;
    Ok(request)
}

pub(super) fn refuse<T>(field: impl Into<String>, message: impl Into<String>) -> Refused<T> {
    Err(InvalidRequest::new(field, message))
}

/// A text that is there.
pub(super) fn optional(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn asked(action: &str) -> Refused<Asked> {
    if action.is_empty() {
        return refuse("action", "missing: say what is asked, such as `kms:Decrypt`");
    }
    if action == "kms:ReEncrypt" {
        return refuse(
            "action",
            "`kms:ReEncrypt` is no action: ask `ReEncrypt`, or `kms:ReEncryptFrom` and `kms:ReEncryptTo`",
        );
    }
    let found = if action.starts_with("kms:") {
        Action::from_name(action).map(Asked::Action)
    } else {
        Operation::from_name(action).map(Asked::Operation)
    };
    found.ok_or_else(|| {
        let spelt = Action::ALL.iter().find(|known| {
            known.name().eq_ignore_ascii_case(action) || known.bare().eq_ignore_ascii_case(action)
        });
        let hint =
            spelt.map(|known| format!(": did you mean `{}`?", known.name())).unwrap_or_default();
        InvalidRequest::new("action", format!("KMS has no action or operation `{action}`{hint}"))
    })
}

fn role_arn<'a>(text: &'a str, principal: &Principal<'a>) -> Refused<Option<Arn<'a>>> {
    const FIELD: &str = "principal.role_arn";
    let Some(text) = optional(text) else { return Ok(None) };
    let Principal::Session { account, role, .. } = principal else {
        return refuse(FIELD, "only a session of a role has a role behind it");
    };
    let arn = Arn::parse(text)
        .filter(|arn| arn.service() == "iam" && arn.resource().starts_with("role/"));
    let Some(arn) = arn else { return refuse(FIELD, format!("`{text}` is not the ARN of a role")) };
    if arn.account_id() != Some(*account) {
        return refuse(FIELD, format!("`{text}` is not of the session's account {account}"));
    }
    if !same_partition(text, principal.text()) {
        return refuse(FIELD, format!("`{text}` is not of the session's partition"));
    }
    if arn.resource().rsplit('/').next() != Some(role) {
        return refuse(FIELD, format!("`{text}` is not the role `{role}` of the session"));
    }
    Ok(Some(arn))
}

fn issuer_arn<'a>(text: &'a str, principal: &Principal<'a>) -> Refused<Option<Arn<'a>>> {
    const FIELD: &str = "principal.issuer_arn";
    let Some(text) = optional(text) else { return Ok(None) };
    let Principal::Federated { account, .. } = principal else {
        return refuse(FIELD, "only a federated session has a user behind it");
    };
    match Principal::parse(text) {
        Ok(Principal::User { .. }) if !same_partition(text, principal.text()) => {
            refuse(FIELD, format!("`{text}` is not of the session's partition"))
        }
        Ok(Principal::User { account: of, .. }) if of == *account => Ok(Arn::parse(text)),
        Ok(Principal::User { .. }) => {
            refuse(FIELD, format!("`{text}` is not of the session's account {account}"))
        }
        _ => refuse(FIELD, format!("`{text}` is not the ARN of an IAM user")),
    }
}

fn session_policies(texts: &[&str], sessions: Sessions<'_>) -> Refused<Few<Arc<Policy>, 2>> {
    if texts.len() > bound::SESSION_POLICIES {
        let message = format!("more than {}", bound::SESSION_POLICIES);
        let error = InvalidRequest::new("principal.session_policies", message);
        return Err(error.beyond(Bound::SessionPolicies));
    }
    let compile = |(index, text): (usize, &&str)| {
        let field = format!("principal.session_policies[{index}]");
        sessions(&field, text).map_err(|problems| {
            let messages: Vec<String> =
                problems.as_slice().iter().map(ToString::to_string).collect();
            InvalidRequest::new(field, messages.join("; "))
        })
    };
    texts.iter().enumerate().map(compile).collect()
}

/// Reads a key id; an empty one is absent.
pub(super) fn key_id<'a>(field: &str, text: &'a str) -> Refused<Option<KeyId<'a>>> {
    let Some(text) = optional(text) else { return Ok(None) };
    KeyId::parse(text).map(Some).map_err(|error| InvalidRequest::new(field, error.to_string()))
}

/// Reads a Region; an empty one is absent.
pub(super) fn region<'a>(field: &str, text: &'a str) -> Refused<Option<&'a str>> {
    match optional(text) {
        Some(text) if !is_region(text) => {
            refuse(field, format!("`{text}` is no Region: expected a name such as `us-west-2`"))
        }
        found => Ok(found),
    }
}

/// `<service>.<region>.amazonaws.com`.
///
/// Source: AWS KMS Developer Guide, "kms:ViaService".
fn via_service(text: &str) -> Refused<Option<&str>> {
    match optional(text) {
        Some(text) if !is_service(text) || !text.ends_with(".amazonaws.com") => refuse(
            "via_service",
            format!(
                "`{text}` is no service name: expected one such as `s3.us-west-2.amazonaws.com`"
            ),
        ),
        found => Ok(found),
    }
}

/// The pairs of an encryption context.
pub(super) fn encryption_context<'a>(field: &str, found: Pairs<'a>) -> Refused<Pairs<'a>> {
    let named = found.iter().all(|(name, _)| !name.is_empty());
    pairs(field, found).map_err(|error| match named {
        true => error.beyond(Bound::EncryptionContext),
        false => error,
    })
}

/// The pairs of a map.
pub(super) fn pairs<'a>(field: &str, pairs: Pairs<'a>) -> Refused<Pairs<'a>> {
    if pairs.len() > bound::ITEMS {
        return refuse(field, format!("more than {} entries", bound::ITEMS));
    }
    for (name, value) in &pairs {
        if name.is_empty() {
            return refuse(field, "a name is empty");
        }
        if name.len() > bound::TEXT || value.len() > bound::TEXT {
            return refuse(field, format!("a name or value is longer than {} bytes", bound::TEXT));
        }
    }
    Ok(pairs)
}

fn grant_tokens(tokens: Texts<'_>) -> Refused<Texts<'_>> {
    if tokens.len() > bound::GRANT_TOKENS {
        let message = format!("more than {}", bound::GRANT_TOKENS);
        return Err(InvalidRequest::new("grant_tokens", message).beyond(Bound::GrantTokens));
    }
    for (index, token) in tokens.iter().enumerate() {
        if !(1..=bound::GRANT_TOKEN).contains(&token.len()) {
            let message = format!("not 1 to {} bytes long", bound::GRANT_TOKEN);
            let error = InvalidRequest::new(format!("grant_tokens[{index}]"), message);
            let long = token.len() > bound::GRANT_TOKEN;
            return Err(if long { error.beyond(Bound::GrantTokens) } else { error });
        }
    }
    Ok(tokens)
}

/// Both context maps. Names ignore case and stand once; derived keys cannot be asserted.
fn context<'a>(
    single: &[(&'a str, &'a str)],
    multivalued: Few<(&'a str, Texts<'a>), 2>,
) -> Refused<Few<Asserted<'a>, 8>> {
    let mut asserted: Few<Asserted<'a>, 8> = Few::new();
    for (name, value) in single {
        let field = || format!("context[\"{name}\"]");
        assertable(field, name, Arity::One)?;
        bounded(field, value)?;
        asserted.push(Asserted { name, values: AssertedValues::One(value) });
    }
    for (name, values) in multivalued {
        let field = || format!("multivalued_context[\"{name}\"]");
        assertable(field, name, Arity::Many)?;
        if values.len() > bound::ITEMS {
            return refuse(field(), format!("more than {} values", bound::ITEMS));
        }
        values.iter().try_for_each(|value| bounded(field, value))?;
        asserted.push(Asserted { name, values: AssertedValues::Many(values) });
    }
    if asserted.len() > bound::ITEMS {
        return refuse("context", format!("more than {} condition keys", bound::ITEMS));
    }
    let in_order =
        |pair: &[Asserted<'_>]| matches!(pair, [a, b] if compare(a.name, b.name).is_lt());
    if !asserted.windows(2).all(in_order) {
        asserted.sort_by(|a, b| compare(a.name, b.name).then(a.name.cmp(b.name)));
        once(&asserted)?;
    }
    asserted.retain(|asserted| asserted.values != AssertedValues::Many(Texts::new()));
    Ok(asserted)
}

/// Whether no name stands twice, among condition keys in the order of their names.
fn once(asserted: &[Asserted<'_>]) -> Refused<()> {
    for twins in asserted.windows(2) {
        if let [first, second] = twins
            && same(first.name, second.name)
        {
            let (first, second) = (first.name, second.name);
            return refuse(
                format!("context[\"{second}\"]"),
                format!("given twice, as `{first}` and `{second}`: names ignore case"),
            );
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Arity {
    One,
    Many,
}

fn assertable(field: impl Fn() -> String, name: &str, arity: Arity) -> Refused<()> {
    let row = find(name);
    // What is known has the form, but for what users may add to the name of a family.
    let known = row.is_some_and(|row| row.name.len() == name.len());
    if !known && !has_form(name) {
        return refuse(
            field(),
            format!("`{name}` is no condition key: expected the form `prefix:name`"),
        );
    }
    let kms = name.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("kms:"));
    if kms || row.is_some_and(|row| row.supplier == Supplier::Derived) {
        return refuse(
            field(),
            format!("`{name}` is derived by the service and cannot be asserted"),
        );
    }
    match (row.map(|row| row.multivalued), arity) {
        (Some(true), Arity::One) => refuse(
            field(),
            format!("`{name}` has several values: give it in `multivalued_context`"),
        ),
        (Some(false), Arity::Many) => {
            refuse(field(), format!("`{name}` has one value: give it in `context`"))
        }
        _ => Ok(()),
    }
}

fn bounded(field: impl Fn() -> String, text: &str) -> Refused<()> {
    if text.len() > bound::TEXT {
        return refuse(field(), format!("longer than {} bytes", bound::TEXT));
    }
    Ok(())
}
