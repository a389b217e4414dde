//! The condition context of one authorization: who asks, when, through whom.
//!
//! Source: IAM User Guide, "AWS global condition context keys", "IAM policy elements: Variables and
//! tags" (values of the principal keys).

use super::caller::{Caller, Kind};
use super::context::{Context, Entry};
use super::legs::{Leg, Target};
use super::request::Request;
use super::world::World;
use super::{Refusal, arn, derive_request, derive_resource, organization, values};

/// Every condition key of the authorization. What the request asserts yields to what is derived,
/// and that to the overrides of a simulation.
pub(crate) fn context(
    leg: &Leg<'_>,
    caller: &Caller<'_>,
    request: &Request,
    world: &World,
) -> Result<Context, Refusal> {
    let mut context = Context::default();
    context.set("aws:SecureTransport", "true");
    for (key, entry) in &request.asserted {
        context.put(key, entry.clone());
    }
    principal_keys(&mut context, caller, request);
    organization_keys(&mut context, world, request, caller.account.as_deref(), "Principal")?;
    moment_keys(&mut context, leg, request);
    let owner = match &leg.target {
        Target::Unknown { owner, .. } => owner.clone(),
        _ => derive_resource::owner(leg, caller),
    };
    organization_keys(&mut context, world, request, owner.as_deref(), "Resource")?;
    derive_resource::keys(&mut context, leg, caller, request, world);
    derive_request::keys(&mut context, leg, request);
    for (key, entry) in &request.overrides {
        match entry {
            Some(entry) => context.put(key, entry.clone()),
            None => context.remove(key),
        }
    }
    Ok(context)
}

fn principal_keys(context: &mut Context, caller: &Caller<'_>, request: &Request) {
    let kind = match caller.kind {
        Kind::Root => Some("Account"),
        Kind::User => Some("User"),
        Kind::Federated => Some("FederatedUser"),
        Kind::Session => Some("AssumedRole"),
        Kind::Service => None,
    };
    context.set_if_some("aws:PrincipalType", kind);
    let is_service = caller.kind == Kind::Service;
    context.set("aws:PrincipalIsAWSService", is_service.to_string());
    if is_service {
        context.set("aws:PrincipalServiceName", caller.arn.clone());
        context.set_many("aws:PrincipalServiceNamesList", vec![caller.arn.clone()]);
    }
    context.set_if_some("aws:PrincipalAccount", caller.account.clone());
    // Of a session it is the role, with its path.
    match caller.kind {
        Kind::Root | Kind::User | Kind::Federated => {
            context.set("aws:PrincipalArn", caller.arn.clone());
        }
        Kind::Session => context.set_or_unknown("aws:PrincipalArn", caller.role_arn.clone()),
        Kind::Service => {}
    }
    let account = caller.account.clone().unwrap_or_default();
    let session = arn::last_name(&caller.arn);
    match (&caller.user_id, caller.kind) {
        (Some(id), _) => context.set("aws:userid", id.clone()),
        (None, Kind::Root) => context.set("aws:userid", account),
        (None, Kind::User) => context.set_or_unknown("aws:userid", caller.unique_id()),
        (None, Kind::Session) => {
            let id = caller.unique_id().map(|id| format!("{id}:{session}"));
            context.set_or_unknown("aws:userid", id);
        }
        (None, Kind::Federated) => {
            context.set("aws:userid", format!("{account}:{}", caller.name));
        }
        (None, Kind::Service) => {}
    }
    if caller.kind == Kind::User {
        context.set("aws:username", caller.name.clone());
    }
    // Tags of the user or role, then those of the session, which win.
    context.set_pairs("aws:PrincipalTag/", caller.identity.map_or(&[], |entity| &entity.tags));
    context.set_pairs("aws:PrincipalTag/", &request.tags);
    let source = request.principal["sourceIdentity"].as_str();
    context.set_if_some("aws:SourceIdentity", source.filter(|source| !source.is_empty()));
}

/// What the set knows of an account's organization cannot be asserted; nor can the set's own
/// organization be claimed for an account outside it.
fn organization_keys(
    context: &mut Context,
    world: &World,
    request: &Request,
    account: Option<&str>,
    of: &str,
) -> Result<(), Refusal> {
    let (id_key, path_key) = (format!("aws:{of}OrgID"), format!("aws:{of}OrgPaths"));
    let asserted = [&id_key, &path_key].map(|key| request.asserted(key));
    match account.and_then(|account| organization::id_and_path(world, account)) {
        Some(_) if asserted.iter().any(Option::is_some) => Err(Refusal::Request),
        Some((id, path)) => {
            context.set(&id_key, id);
            let path = path.map_or(Entry::Unknown, |path| Entry::Many(vec![path]));
            context.put(&path_key, path);
            Ok(())
        }
        None => {
            let is_own = |id: &str| world.organizations.iter().any(|known| known["Id"] == id);
            let claims = |entry: &Entry| match entry {
                Entry::One(id) => is_own(id),
                Entry::Many(paths) => {
                    paths.iter().any(|path| is_own(path.split('/').next().unwrap_or("")))
                }
                Entry::Colliding(_) | Entry::Unknown => false,
            };
            let claimed = asserted.into_iter().flatten().any(claims);
            if claimed { Err(Refusal::Request) } else { Ok(()) }
        }
    }
}

fn moment_keys(context: &mut Context, leg: &Leg<'_>, request: &Request) {
    context.set("aws:CurrentTime", request.now.clone());
    let seconds = values::instant(&request.now).map(values::seconds);
    context.set_if_some("aws:EpochTime", seconds.map(|seconds| seconds.to_string()));
    let region = match &leg.target {
        Target::Key(key, _) => Some(key.region.clone()),
        Target::Alias(alias) => arn::region(alias).map(str::to_owned),
        Target::NoKey(_) | Target::Unknown { .. } => leg.region.clone(),
    };
    context.set_if_some("aws:RequestedRegion", region);
    context.set("aws:ViaAWSService", request.via_service.is_some().to_string());
}
