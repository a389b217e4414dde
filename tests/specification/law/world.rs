//! The policy set, as the documents of a case give it. It is used whole or not at all.
//!
//! Source: the output of `aws kms describe-key`, `aws iam get-account-authorization-details`, `aws
//! ec2 describe-vpc-endpoints`.

use serde_json::{Value, json};

pub(crate) use super::identities::Identity;
pub(crate) use super::keys::Key;
use super::keys::{check_tokens, is_readable_grant, read_key};
use super::policy::{self, Kind, Policy};
use super::{Refusal, arn, identities, organization, spelling, strict};

type Read<T> = Result<T, Refusal>;

/// A name of a key.
pub(crate) struct Alias {
    pub(crate) arn: String,
    pub(crate) key_arn: String,
}

impl Alias {
    /// `alias/…`
    pub(crate) fn name(&self) -> String {
        format!("alias/{}", arn::after(&self.arn, "alias/").unwrap_or(""))
    }
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) keys: Vec<Key>,
    pub(crate) aliases: Vec<Alias>,
    pub(crate) users: Vec<Identity>,
    pub(crate) roles: Vec<Identity>,
    pub(crate) groups: Vec<Identity>,
    /// VPC endpoints by id.
    pub(crate) endpoints: Vec<(String, Policy)>,
    /// The `Organization` members.
    pub(crate) organizations: Vec<Value>,
    described: Described,
}

/// What was described so far: equal descriptions are one, differing ones contradict each other.
#[derive(Default)]
pub(crate) struct Described(Vec<(String, Value)>);

impl Described {
    /// Whether the thing was not described before.
    pub(crate) fn is_new(&mut self, thing: String, description: Value) -> Read<bool> {
        match self.0.iter().find(|(known, _)| *known == thing) {
            Some((_, known)) if *known == description => Ok(false),
            Some(_) => Err(Refusal::Policy),
            None => {
                self.0.push((thing, description));
                Ok(true)
            }
        }
    }
}

const MEMBERS: [&str; 11] = [
    "KeyMetadata",
    "Keys",
    "UserDetailList",
    "GroupDetailList",
    "RoleDetailList",
    "Policies",
    "Grants",
    "Aliases",
    "VpcEndpoints",
    "Organization",
    "Assertions",
];

impl World {
    pub(crate) fn read(documents: &Value) -> Read<Self> {
        let documents = list(documents);
        let mut world = Self::default();
        for document in documents {
            let known = MEMBERS.iter().any(|member| document.get(member).is_some());
            let cut_off = ["IsTruncated", "Truncated"].iter().any(|m| document[m] == json!(true));
            if !known || cut_off || !spelling::is_right(document) {
                return Err(Refusal::Policy);
            }
        }
        for document in documents {
            if document.get("KeyMetadata").is_some() {
                world.add_key(document)?;
            }
            list(&document["Keys"]).iter().try_for_each(|key| world.add_key(key))?;
        }
        for document in documents {
            world.add_loose_grants_and_aliases(document)?;
            world.add_endpoints(document)?;
            world.add_organization(document)?;
        }
        world.add_identities(documents)?;
        check_tokens(&world.keys)?;
        Ok(world)
    }

    pub(crate) fn key(&self, arn: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.arn == arn)
    }

    fn add_key(&mut self, document: &Value) -> Read<()> {
        let arn = text(&document["KeyMetadata"]["Arn"])?;
        let mut description = document.clone();
        for apart in ["Aliases", "Grants"] {
            description[apart] = Value::Null;
        }
        // A policy as text is the policy.
        for policy in ["Policy", "RamPolicy"] {
            if let Some(parsed) = description[policy].as_str().and_then(strict::parse) {
                description[policy] = parsed;
            }
        }
        if self.described.is_new(format!("key {arn}"), description)? {
            self.keys.push(read_key(document, &arn)?);
        }
        for grant in list(&document["Grants"]) {
            self.add_grant(&arn, grant)?;
        }
        for alias in list(&document["Aliases"]) {
            let name = text(alias).or(text(&alias["AliasName"]))?;
            let prefix = arn.split("key/").next().unwrap_or("");
            self.add_alias(format!("{prefix}{name}"), &arn)?;
        }
        Ok(())
    }

    fn add_grant(&mut self, key_arn: &str, grant: &Value) -> Read<()> {
        let id = text(&grant["GrantId"])?;
        if !is_readable_grant(grant) {
            return Err(Refusal::Policy);
        }
        let mut description = grant.clone();
        description["KeyId"] = Value::Null;
        let is_new = self.described.is_new(format!("grant {id} on {key_arn}"), description)?;
        // A grant on a key that is not there is left out.
        let key = self.keys.iter_mut().find(|key| key.arn == key_arn).filter(|_| is_new);
        key.into_iter().for_each(|key| key.grants.push(grant.clone()));
        Ok(())
    }

    /// The ARN of the one key that has this id; an ARN as it is.
    fn arn_of(&self, named: &str) -> String {
        let mut of_id = self.keys.iter().filter(|key| key.arn.ends_with(&format!("/{named}")));
        match (of_id.next(), of_id.next()) {
            (Some(key), None) => key.arn.clone(),
            _ => named.to_owned(),
        }
    }

    fn add_alias(&mut self, arn: String, key_arn: &str) -> Read<()> {
        if self.described.is_new(format!("alias {arn}"), json!(key_arn))?
            && self.key(key_arn).is_some()
        {
            self.aliases.push(Alias { arn, key_arn: key_arn.to_owned() });
        }
        Ok(())
    }

    /// Grants and aliases that stand in documents of their own.
    fn add_loose_grants_and_aliases(&mut self, document: &Value) -> Read<()> {
        if document.get("KeyMetadata").is_some() {
            return Ok(());
        }
        for grant in list(&document["Grants"]) {
            let named = text(&grant["KeyId"])?;
            self.add_grant(&self.arn_of(&named), grant)?;
        }
        for alias in list(&document["Aliases"]) {
            let arn = text(&alias["AliasArn"])?;
            if let Some(target) = alias["TargetKeyId"].as_str() {
                let prefix = arn.split("alias/").next().unwrap_or("");
                self.add_alias(arn.clone(), &format!("{prefix}key/{target}"))?;
            }
        }
        Ok(())
    }

    fn add_endpoints(&mut self, document: &Value) -> Read<()> {
        for endpoint in list(&document["VpcEndpoints"]) {
            let id = text(&endpoint["VpcEndpointId"])?;
            let policy = policy::read(&endpoint["PolicyDocument"], Kind::Endpoint)?;
            if self.described.is_new(format!("endpoint {id}"), endpoint.clone())? {
                self.endpoints.push((id, policy));
            }
        }
        Ok(())
    }

    fn add_organization(&mut self, document: &Value) -> Read<()> {
        let Some(organization) = document.get("Organization") else { return Ok(()) };
        organization::check(organization, &mut self.described)?;
        if self.described.is_new("organization".to_owned(), organization.clone())? {
            self.organizations.push(organization.clone());
        }
        Ok(())
    }

    fn add_identities(&mut self, documents: &[Value]) -> Read<()> {
        let managed = identities::managed_policies(documents, &mut self.described)?;
        let mut add = |kind: &str| -> Read<Vec<Identity>> {
            let mut found = Vec::new();
            for document in documents {
                for detail in list(&document[format!("{kind}DetailList")]) {
                    let identity = Identity::read(detail, kind, &managed)?;
                    // A name is there once, in whatever path.
                    let name = &identity.name;
                    let place = match kind {
                        "Group" => arn::partition(&identity.arn),
                        _ => None,
                    };
                    let thing = format!("{kind} {place:?} {:?} {name}", identity.account());
                    if self.described.is_new(thing, detail.clone())? {
                        found.push(identity);
                    }
                }
            }
            Ok(found)
        };
        (self.users, self.roles, self.groups) = (add("User")?, add("Role")?, add("Group")?);
        // A group that is named but missing may hide a Deny.
        let exists = |user: &Identity, name: &String| {
            self.groups.iter().any(|group| user.may_be_in(group) && group.name == *name)
        };
        let complete = |user: &Identity| user.groups.iter().all(|name| exists(user, name));
        if self.users.iter().chain(&self.roles).all(complete) {
            Ok(())
        } else {
            Err(Refusal::Policy)
        }
    }

    /// Whether the set holds IAM details of this account.
    pub(crate) fn describes(&self, account: Option<&str>) -> bool {
        let mut all = self.users.iter().chain(&self.roles).chain(&self.groups);
        all.any(|identity| identity.account() == account)
    }
}

/// The members of a list; of anything else, none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub(crate) fn text(value: &Value) -> Read<String> {
    value.as_str().map(str::to_owned).ok_or(Refusal::Policy)
}
