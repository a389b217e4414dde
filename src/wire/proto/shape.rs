//! Which fields which action takes.

use super::request::refuse;
use crate::engine::kms::action::Action;
use crate::engine::kms::operation::Operation;
use crate::engine::kms::table::ResourceKind;
use crate::engine::term::key_id::KeyId;
use crate::engine::term::request::{Asked, InvalidRequest, Request};

type Refused = Result<(), InvalidRequest>;

/// Checks that the request has the fields that its action needs, and key ids of a form that KMS
/// accepts there.
pub(super) fn shape(request: &Request<'_>) -> Refused {
    match request.asked {
        Asked::Action(action) => of_action(request, action),
        Asked::Operation(Operation::ReEncrypt) => {
            key(request, true)?;
            needed("parameters.destination_key_id", request.parameters.destination_key_id.is_some())
        }
        Asked::Operation(Operation::Named(action)) => of_operation(request, action),
    }
}

fn of_action(request: &Request<'_>, action: Action) -> Refused {
    grant(request, action)?;
    match action.row().resource {
        ResourceKind::Account | ResourceKind::RetiringPrincipal => no_key(request, action),
        ResourceKind::AliasAndKey if matches!(request.key_id, Some(KeyId::AliasArn(_))) => Ok(()),
        ResourceKind::AliasAndKey | ResourceKind::Key => {
            retiring(request, action)?;
            key(request, action.takes_alias())
        }
    }
}

fn of_operation(request: &Request<'_>, action: Action) -> Refused {
    let parameters = &request.parameters;
    match action {
        Action::CreateAlias | Action::UpdateAlias | Action::DeleteAlias => {
            if request.key_id.is_some() {
                return refuse(
                    "key_id",
                    "must be empty: the operation names its key in `parameters`",
                );
            }
            needed("parameters.alias_name", parameters.alias_name.is_some())?;
            if action == Action::DeleteAlias {
                return Ok(());
            }
            needed("parameters.target_key_id", parameters.target_key_id.is_some())?;
            no_alias("parameters.target_key_id", parameters.target_key_id.as_ref())
        }
        Action::ReplicateKey => {
            needed("parameters.replica_region", parameters.replica_region.is_some())?;
            of_action(request, action)
        }
        Action::UpdatePrimaryRegion => {
            needed("parameters.primary_region", parameters.primary_region.is_some())?;
            of_action(request, action)
        }
        _ => of_action(request, action),
    }
}

fn needed(field: &str, there: bool) -> Refused {
    if there { Ok(()) } else { refuse(field, "missing: the operation needs it") }
}

fn key(request: &Request<'_>, takes_alias: bool) -> Refused {
    needed("key_id", request.key_id.is_some())?;
    if takes_alias { Ok(()) } else { no_alias("key_id", request.key_id.as_ref()) }
}

fn no_alias(field: &str, id: Option<&KeyId<'_>>) -> Refused {
    match id.and_then(KeyId::alias_name) {
        None => Ok(()),
        Some(alias) => refuse(
            field,
            format!("the operation takes a key id or key ARN, not the alias `{alias}`"),
        ),
    }
}

/// ListAliases may name a key, which does not count.
fn no_key(request: &Request<'_>, action: Action) -> Refused {
    if request.key_id.is_none() || action == Action::ListAliases {
        return Ok(());
    }
    refuse("key_id", format!("must be empty: {} is on no key", action.name()))
}

fn grant(request: &Request<'_>, action: Action) -> Refused {
    let given = request.parameters.grant.is_some();
    match (action == Action::CreateGrant, given) {
        (true, false) => refuse("parameters.grant", "missing: say which grant is to be created"),
        (false, true) => refuse("parameters.grant", "only CreateGrant takes a grant"),
        _ => Ok(()),
    }
}

fn retiring(request: &Request<'_>, action: Action) -> Refused {
    let named = request.parameters.grant_id.is_some() || !request.grant_tokens.is_empty();
    if action == Action::RetireGrant && !named {
        return refuse(
            "parameters.grant_id",
            "missing: name the grant, or give its token in `grant_tokens`",
        );
    }
    Ok(())
}
