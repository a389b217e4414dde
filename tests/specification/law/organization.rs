//! The organization's tree, and the policies on the path to an account.
//!
//! Source: AWS Organizations User Guide, "SCP evaluation", "Resource control policies (RCPs)"; IAM
//! User Guide, "AWS global condition context keys" (aws:PrincipalOrgPaths).

use serde_json::{Value, json};

use super::policy::{self, Kind, Policy};
use super::world::{Described, World, list, text};
use super::{Refusal, arn};

/// Every policy of the tree must be readable, a policy has one content, an account one place.
pub(crate) fn check(organization: &Value, described: &mut Described) -> Result<(), Refusal> {
    text(&organization["Id"])?;
    let mut accounts = Vec::new();
    check_level(&organization["Root"], described, &mut accounts)
}

fn check_level<'a>(
    level: &'a Value,
    described: &mut Described,
    accounts: &mut Vec<&'a Value>,
) -> Result<(), Refusal> {
    text(&level["Id"])?;
    for scp in list(&level["ServiceControlPolicies"]) {
        text(&scp["Id"]).or(text(&scp["Name"]))?;
        policy::read(&scp["Content"], Kind::ServiceControl)?;
        described.is_new(format!("SCP {}", scp["Id"]), scp["Content"].clone())?;
    }
    for rcp in list(&level["ResourceControlPolicies"]) {
        text(&rcp["Id"]).or(text(&rcp["Name"]))?;
        policy::read(&rcp["Content"], rcp_kind(rcp))?;
        described.is_new(format!("RCP {}", rcp["Id"]), rcp["Content"].clone())?;
    }
    for account in list(&level["Accounts"]) {
        let is_account = account["Id"].as_str().is_some_and(arn::is_account_id);
        if !is_account || accounts.contains(&&account["Id"]) {
            return Err(Refusal::Policy);
        }
        accounts.push(&account["Id"]);
    }
    let below = list(&level["Accounts"]).iter().chain(list(&level["OrganizationalUnits"]));
    below.into_iter().try_for_each(|level| check_level(level, described, accounts))
}

/// The one RCP that may allow is named `RCPFullAWSAccess`.
fn rcp_kind(rcp: &Value) -> Kind {
    let is_full = rcp["Name"] == "RCPFullAWSAccess" || rcp["Id"] == "p-RCPFullAWSAccess";
    if is_full { Kind::FullAccess } else { Kind::ResourceControl }
}

/// The levels from the root to the account; none if the account is in no organization.
pub(crate) fn path<'a>(world: &'a World, account: &str) -> Option<(&'a Value, Vec<&'a Value>)> {
    let mut of_each = world.organizations.iter().map(|organization| {
        let levels = path_from(&organization["Root"], account)?;
        Some((organization, levels))
    });
    of_each.find_map(|found| found)
}

fn path_from<'a>(level: &'a Value, account: &str) -> Option<Vec<&'a Value>> {
    if let Some(found) = list(&level["Accounts"]).iter().find(|a| a["Id"] == json!(account)) {
        return Some(vec![level, found]);
    }
    let mut units = list(&level["OrganizationalUnits"]).iter();
    units.find_map(|unit| {
        let mut levels = vec![level];
        levels.extend(path_from(unit, account)?);
        Some(levels)
    })
}

pub(crate) fn is_management_account(world: &World, account: &str) -> bool {
    let mut organizations = world.organizations.iter();
    organizations.any(|o| o["ManagementAccountId"] == json!(account))
}

/// The organization that holds an account, and the account's path in it. Where in the tree the
/// management account is, is known only if it is listed there.
pub(crate) fn id_and_path(world: &World, account: &str) -> Option<(String, Option<String>)> {
    let id = |value: &Value| value["Id"].as_str().unwrap_or("").to_owned();
    if let Some((organization, levels)) = path(world, account) {
        let above = &levels[..levels.len() - 1];
        let names = std::iter::once(organization).chain(above.iter().copied());
        let path = names.map(|level| format!("{}/", id(level))).collect();
        return Some((id(organization), Some(path)));
    }
    let mut organizations = world.organizations.iter();
    let managed = organizations.find(|o| o["ManagementAccountId"] == json!(account))?;
    Some((id(managed), None))
}

/// One level's policies of one kind. A level without the member is not constrained by that kind.
pub(crate) type Level = Vec<Policy>;

/// The SCPs of the levels above an account.
pub(crate) fn scp_levels(world: &World, account: &str) -> Vec<Level> {
    levels(world, account, "ServiceControlPolicies", |_| Kind::ServiceControl)
}

/// The RCPs of the levels above an account.
pub(crate) fn rcp_levels(world: &World, account: &str) -> Vec<Level> {
    levels(world, account, "ResourceControlPolicies", rcp_kind)
}

fn levels(world: &World, account: &str, member: &str, kind: impl Fn(&Value) -> Kind) -> Vec<Level> {
    let Some((_, levels)) = path(world, account) else { return Vec::new() };
    let policies_of = |level: &&Value| {
        let policies = level.get(member)?.as_array()?;
        let read = |p: &Value| policy::read(&p["Content"], kind(p)).expect("checked at load");
        Some(policies.iter().map(read).collect())
    };
    levels.iter().filter_map(policies_of).collect()
}
