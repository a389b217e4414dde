//! The authorizations of a request: which action on what, with which facts.

use arrayvec::ArrayVec;

use super::facts::LegFacts;
use super::resource::{Located, Locator, Resource};
use crate::engine::kms::action::Action;
use crate::engine::kms::key_state::KeyRole;
use crate::engine::kms::operation::Operation;
use crate::engine::kms::table::ResourceKind;
use crate::engine::term::key_id::KeyId;
use crate::engine::term::request::{Asked, InvalidRequest, Request};

/// One authorization to decide.
pub(super) struct Authorization<'a, 'n> {
    /// The IAM action.
    pub action: Action,
    /// What it is about.
    pub resource: Resource<'a, 'n>,
    /// Region of the endpoint that was called.
    pub region: &'a str,
    /// What differs between legs.
    pub facts: LegFacts<'a>,
    /// Which of an operation's keys it is about.
    pub role: KeyRole,
}

/// The authorizations of a request, at least one.
pub(super) type Authorizations<'a, 'n> = ArrayVec<Authorization<'a, 'n>, 3>;

/// Lays out the authorizations of a request.
///
/// Source: AWS KMS Developer Guide, "AWS KMS permissions"; AWS KMS API Reference, "Required
/// permissions" of each operation.
///
/// # Errors
///
/// No Region or no key can be told.
#[inline(always)]
pub(super) fn authorizations<'a, 'n>(
    locator: &Locator<'a, 'n>,
    legs: &mut Authorizations<'a, 'n>,
) -> Result<(), InvalidRequest> {
    match locator.request.asked {
        Asked::Action(action) => legs.push(action_leg(locator, action)?),
        Asked::Operation(operation) => *legs = operation_legs(locator, operation)?,
    }
    Ok(())
}

#[inline(always)]
fn action_leg<'a, 'n>(
    locator: &Locator<'a, 'n>,
    action: Action,
) -> Result<Authorization<'a, 'n>, InvalidRequest> {
    let request = locator.request;
    match action.row().resource {
        ResourceKind::Account => account_leg(locator, action, locator.region()?),
        ResourceKind::RetiringPrincipal => Ok(Authorization {
            action,
            resource: Resource::RetiringPrincipal(request.parameters.retiring_principal),
            region: locator.region()?,
            facts: LegFacts::default(),
            role: KeyRole::Only,
        }),
        ResourceKind::AliasAndKey if matches!(request.key_id, Some(KeyId::AliasArn(_))) => {
            let Some(KeyId::AliasArn(arn)) = request.key_id else { return Err(no_key("key_id")) };
            let account = arn.account_id().ok_or_else(|| no_key("key_id"))?;
            let resource = Resource::Alias { arn: arn.text, account };
            Ok(Authorization {
                action,
                resource,
                region: arn.region(),
                facts: LegFacts::default(),
                role: KeyRole::Only,
            })
        }
        ResourceKind::Key | ResourceKind::AliasAndKey => {
            let located = locate(locator, request.key_id.as_ref(), "key_id")?;
            let other = match action {
                Action::ReEncryptFrom => &request.parameters.destination_key_id,
                Action::ReEncryptTo => &request.parameters.source_key_id,
                _ => &None,
            };
            let same_key = match other {
                Some(id) => Some(is_same(&located, &locator.key(id, "parameters")?)),
                None => None,
            };
            let facts = LegFacts { same_key, ..of_request(request, &located) };
            Ok(key_leg(action, located, facts, KeyRole::Only))
        }
    }
}

fn operation_legs<'a, 'n>(
    locator: &Locator<'a, 'n>,
    operation: Operation,
) -> Result<Authorizations<'a, 'n>, InvalidRequest> {
    let parameters = &locator.request.parameters;
    match operation {
        Operation::ReEncrypt => re_encrypt(locator),
        Operation::Named(Action::CreateAlias) => {
            let (alias, region) = named_alias(locator)?;
            let target =
                locate(locator, parameters.target_key_id.as_ref(), "parameters.target_key_id")?;
            let facts = LegFacts::default();
            Ok(ArrayVec::from_iter([
                alias_leg(Action::CreateAlias, alias, region),
                key_leg(Action::CreateAlias, target, facts, KeyRole::Only),
            ]))
        }
        Operation::Named(Action::UpdateAlias) => {
            let (alias, region) = named_alias(locator)?;
            let current = locator.target_of(&alias, region);
            let target =
                locate(locator, parameters.target_key_id.as_ref(), "parameters.target_key_id")?;
            let facts = LegFacts::default();
            Ok(ArrayVec::from_iter([
                alias_leg(Action::UpdateAlias, alias, region),
                key_leg(Action::UpdateAlias, current, facts, KeyRole::Current),
                key_leg(Action::UpdateAlias, target, facts, KeyRole::New),
            ]))
        }
        Operation::Named(Action::DeleteAlias) => {
            let (alias, region) = named_alias(locator)?;
            let current = locator.target_of(&alias, region);
            Ok(ArrayVec::from_iter([
                alias_leg(Action::DeleteAlias, alias, region),
                key_leg(Action::DeleteAlias, current, LegFacts::default(), KeyRole::Only),
            ]))
        }
        Operation::Named(Action::CreateKey) => {
            let region = locator.region()?;
            let mut legs = Authorizations::new();
            legs.push(account_leg(locator, Action::CreateKey, region)?);
            legs.extend(tag_leg(locator, region));
            Ok(legs)
        }
        Operation::Named(Action::ReplicateKey) => {
            let primary = locate(locator, locator.request.key_id.as_ref(), "key_id")?;
            let replica_region =
                parameters.replica_region.ok_or_else(|| no_key("parameters.replica_region"))?;
            let replicated =
                if let Resource::Key(key) = primary.resource { Some(key) } else { None };
            let mut create = account_leg(locator, Action::CreateKey, replica_region)?;
            create.facts.replicated = replicated;
            let mut legs = Authorizations::new();
            legs.push(key_leg(Action::ReplicateKey, primary, LegFacts::default(), KeyRole::Only));
            legs.push(create);
            let tag = tag_leg(locator, replica_region);
            legs.extend(tag.map(|mut tag| {
                tag.facts.replicated = replicated;
                tag
            }));
            Ok(legs)
        }
        Operation::Named(Action::UpdatePrimaryRegion) => {
            let primary = locate(locator, locator.request.key_id.as_ref(), "key_id")?;
            let region =
                parameters.primary_region.ok_or_else(|| no_key("parameters.primary_region"))?;
            let replica = match &primary.resource {
                Resource::Key(key) => locator.twin(key, region),
                unknown => Located { resource: unknown.clone(), region, alias: None },
            };
            let facts = LegFacts::default();
            Ok(ArrayVec::from_iter([
                key_leg(Action::UpdatePrimaryRegion, primary, facts, KeyRole::Current),
                key_leg(Action::UpdatePrimaryRegion, replica, facts, KeyRole::New),
            ]))
        }
        Operation::Named(action) => Ok(ArrayVec::from_iter([action_leg(locator, action)?])),
    }
}

fn re_encrypt<'a, 'n>(locator: &Locator<'a, 'n>) -> Result<Authorizations<'a, 'n>, InvalidRequest> {
    let (request, parameters) = (locator.request, &locator.request.parameters);
    let source = locate(locator, request.key_id.as_ref(), "key_id")?;
    let destination =
        locate(locator, parameters.destination_key_id.as_ref(), "parameters.destination_key_id")?;
    let same_key = Some(is_same(&source, &destination));
    let from = LegFacts { same_key, ..of_request(request, &source) };
    let to = LegFacts {
        encryption_context: Some(&parameters.destination_encryption_context),
        encryption_algorithm: parameters.destination_encryption_algorithm,
        alias: destination.alias,
        same_key,
        ..LegFacts::default()
    };
    Ok(ArrayVec::from_iter([
        key_leg(Action::ReEncryptFrom, source, from, KeyRole::Current),
        key_leg(Action::ReEncryptTo, destination, to, KeyRole::New),
    ]))
}

/// What a request says of its one key. The data-key operations have no choice of algorithm.
fn of_request<'a, 'n>(request: &'a Request<'a>, located: &Located<'a, 'n>) -> LegFacts<'a> {
    let fixed = || match request.asked {
        Asked::Action(action) => action.bare().starts_with("GenerateDataKey"),
        Asked::Operation(operation) => operation.name().starts_with("GenerateDataKey"),
    };
    LegFacts {
        encryption_context: Some(&request.encryption_context),
        encryption_algorithm: request.parameters.encryption_algorithm.filter(|_| !fixed()),
        alias: located.alias,
        ..LegFacts::default()
    }
}

fn is_same(a: &Located<'_, '_>, b: &Located<'_, '_>) -> bool {
    match (&a.resource, &b.resource) {
        (Resource::Key(a), Resource::Key(b)) => a.arn == b.arn,
        (Resource::UnknownKey { arn: a, .. }, Resource::UnknownKey { arn: b, .. }) => a == b,
        _ => false,
    }
}

fn locate<'a, 'n>(
    locator: &Locator<'a, 'n>,
    id: Option<&KeyId<'a>>,
    field: &str,
) -> Result<Located<'a, 'n>, InvalidRequest> {
    locator.key(id.ok_or_else(|| no_key(field))?, field)
}

fn named_alias<'a, 'n>(
    locator: &Locator<'a, 'n>,
) -> Result<(Resource<'a, 'n>, &'a str), InvalidRequest> {
    let name =
        locator.request.parameters.alias_name.ok_or_else(|| no_key("parameters.alias_name"))?;
    locator.alias(name, "parameters.alias_name")
}

fn no_key(field: &str) -> InvalidRequest {
    InvalidRequest::new(field, "missing: the operation needs it")
}

fn key_leg<'a, 'n>(
    action: Action,
    located: Located<'a, 'n>,
    facts: LegFacts<'a>,
    role: KeyRole,
) -> Authorization<'a, 'n> {
    Authorization { action, resource: located.resource, region: located.region, facts, role }
}

fn alias_leg<'a, 'n>(
    action: Action,
    resource: Resource<'a, 'n>,
    region: &'a str,
) -> Authorization<'a, 'n> {
    Authorization { action, resource, region, facts: LegFacts::default(), role: KeyRole::Only }
}

fn account_leg<'a, 'n>(
    locator: &Locator<'a, 'n>,
    action: Action,
    region: &'a str,
) -> Result<Authorization<'a, 'n>, InvalidRequest> {
    let resource = Resource::Any { arn: locator.in_account(region, "") };
    Ok(Authorization { action, resource, region, facts: LegFacts::default(), role: KeyRole::Only })
}

/// CreateKey and ReplicateKey with tags also need permission to tag.
fn tag_leg<'a, 'n>(locator: &Locator<'a, 'n>, region: &'a str) -> Option<Authorization<'a, 'n>> {
    if locator.request.parameters.tags.is_empty() {
        return None;
    }
    let resource = Resource::NewKey { arn: locator.in_account(region, "key/") };
    Some(alias_leg(Action::TagResource, resource, region))
}
