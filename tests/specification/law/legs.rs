//! Which authorizations a request asks for, and on what.
//!
//! Source: AWS KMS Developer Guide, "AWS KMS permissions", "Key identifiers (KeyId)"; AWS KMS API
//! Reference, "Required permissions" of each operation.

use super::caller::Caller;
use super::request::Request;
use super::resources::Resource;
use super::world::{Key, World, list};
use super::{Refusal, arn, catalog};

type Read<T> = Result<T, Refusal>;

/// What an authorization is on.
#[derive(Clone)]
pub(crate) enum Target<'a> {
    /// A key; with the alias name by which the request named it.
    Key(&'a Key, Option<String>),
    /// A key or alias that the set does not hold.
    Unknown {
        /// Its ARN.
        arn: String,
        /// The account that would own it.
        owner: Option<String>,
    },
    /// The ARN of an alias.
    Alias(String),
    /// An operation on no key.
    NoKey(Resource),
}

impl Target<'_> {
    /// What `Resource` elements are matched against; or who would own what is not there.
    pub(crate) fn resource(&self) -> Result<Resource, Option<String>> {
        match self {
            Self::Key(key, _) => Ok(Resource::Arn(key.arn.clone())),
            Self::Alias(arn) => Ok(Resource::Arn(arn.clone())),
            Self::NoKey(resource) => Ok(resource.clone()),
            Self::Unknown { owner, .. } => Err(owner.clone()),
        }
    }

    /// How answers call it.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Key(key, _) => key.arn.clone(),
            Self::Unknown { arn, .. } | Self::Alias(arn) => arn.clone(),
            Self::NoKey(Resource::EverythingOr(principal)) => principal.clone(),
            Self::NoKey(Resource::EveryKey(prefix)) => format!("{prefix}key/*"),
            Self::NoKey(_) => "*".to_owned(),
        }
    }
}

/// One authorization.
pub(crate) struct Leg<'a> {
    /// Without prefix.
    pub(crate) action: String,
    pub(crate) target: Target<'a>,
    /// The Region of the endpoint, where no ARN gives one.
    pub(crate) region: Option<String>,
    /// ReEncrypt: what the other key is.
    pub(crate) other_key: Option<String>,
    /// ReplicateKey: the key of which a replica is made.
    pub(crate) replica_of: Option<&'a Key>,
}

struct Asked<'a> {
    request: &'a Request,
    world: &'a World,
    caller: &'a Caller<'a>,
}

/// The legs of the request: of `kms:X` the one authorization, of `X` all those of the operation.
pub(crate) fn legs<'a>(
    request: &'a Request,
    world: &'a World,
    caller: &'a Caller<'a>,
) -> Read<Vec<Leg<'a>>> {
    let asked = Asked { request, world, caller };
    match request.action.strip_prefix("kms:") {
        Some(action) => Ok(vec![asked.one(action)?]),
        None => asked.operation(&request.action),
    }
}

impl<'a> Asked<'a> {
    fn leg(&self, action: &str, target: Target<'a>) -> Leg<'a> {
        Leg {
            action: action.to_owned(),
            target,
            region: self.request.region().ok(),
            other_key: None,
            replica_of: None,
        }
    }

    fn needed(&self, parameter: &str) -> Read<String> {
        self.request.parameter(parameter).ok_or(Refusal::Request)
    }

    fn one(&self, action: &str) -> Read<Leg<'a>> {
        let request = self.request;
        if catalog::is_on_no_key(action) {
            return self.on_no_key(action);
        }
        let is_alias_action = ["CreateAlias", "UpdateAlias", "DeleteAlias"].contains(&action);
        if is_alias_action && arn::after(&request.key_id, "alias/").is_some() {
            return Ok(self.leg(action, Target::Alias(request.key_id.clone())));
        }
        let mut leg = self.leg(action, self.key(&request.key_id, action)?);
        let other = match action {
            "ReEncryptFrom" => request.parameter("destinationKeyId"),
            "ReEncryptTo" => request.parameter("sourceKeyId"),
            _ => None,
        };
        // The other key counts for kms:ReEncryptOnSameKey alone and need not be in the set.
        leg.other_key = match other {
            Some(other) => Some(self.key(&other, action)?.name()),
            None => None,
        };
        Ok(leg)
    }

    fn operation(&self, operation: &str) -> Read<Vec<Leg<'a>>> {
        match operation {
            "ReEncrypt" => self.re_encrypt(),
            "CreateAlias" => Ok(vec![self.alias(operation)?, self.target_key(operation)?]),
            "DeleteAlias" => Ok(vec![self.alias(operation)?, self.current_key(operation)?]),
            "UpdateAlias" => {
                let (alias, target) = (self.alias(operation)?, self.target_key(operation)?);
                Ok(vec![alias, self.current_key(operation)?, target])
            }
            "CreateKey" => {
                let create = self.one("CreateKey")?;
                Ok(std::iter::once(create).chain(self.tagging(&self.request.region()?)).collect())
            }
            "ReplicateKey" => self.replicate_key(),
            "UpdatePrimaryRegion" => self.update_primary_region(),
            other => Ok(vec![self.one(other)?]),
        }
    }

    fn re_encrypt(&self) -> Read<Vec<Leg<'a>>> {
        let source = self.key(&self.request.key_id, "ReEncryptFrom")?;
        let destination = self.key(&self.needed("destinationKeyId")?, "ReEncryptTo")?;
        let (mut from, mut to) =
            (self.leg("ReEncryptFrom", source), self.leg("ReEncryptTo", destination));
        (from.other_key, to.other_key) = (Some(to.target.name()), Some(from.target.name()));
        Ok(vec![from, to])
    }

    /// The replica is made in another Region, by identity policy.
    fn replicate_key(&self) -> Read<Vec<Leg<'a>>> {
        let primary = self.one("ReplicateKey")?;
        let region = self.needed("replicaRegion")?;
        let resource = Resource::AccountWide(self.account_prefix(&region));
        let mut create = self.leg("CreateKey", Target::NoKey(resource));
        create.region = Some(region.clone());
        let mut legs: Vec<Leg<'a>> = [create].into_iter().chain(self.tagging(&region)).collect();
        if let Target::Key(key, _) = primary.target {
            legs.iter_mut().for_each(|leg| leg.replica_of = Some(key));
        }
        legs.insert(0, primary);
        Ok(legs)
    }

    fn update_primary_region(&self) -> Read<Vec<Leg<'a>>> {
        const OPERATION: &str = "UpdatePrimaryRegion";
        let current = self.one(OPERATION)?;
        let region = self.needed("primaryRegion")?;
        let replica = match &current.target {
            Target::Key(key, _) => self.key(&key.arn.replace(&key.region, &region), OPERATION)?,
            other => other.clone(),
        };
        Ok(vec![current, self.leg(OPERATION, replica)])
    }

    /// A key that is made with tags needs permission to tag.
    fn tagging(&self, region: &str) -> Option<Leg<'a>> {
        let has_tags = !list(&self.request.parameters["tags"]).is_empty();
        let resource = Resource::EveryKey(self.account_prefix(region));
        let mut leg = self.leg("TagResource", Target::NoKey(resource));
        leg.region = Some(region.to_owned());
        has_tags.then_some(leg)
    }

    fn on_no_key(&self, action: &str) -> Read<Leg<'a>> {
        let request = self.request;
        if !request.key_id.is_empty() && action != "ListAliases" {
            return Err(Refusal::Request);
        }
        let region = request.region()?;
        let resource = match action {
            "CreateKey" => Resource::AccountWide(self.account_prefix(&region)),
            "ListRetirableGrants" => match request.parameter("retiringPrincipal") {
                Some(principal) => Resource::EverythingOr(principal),
                None => Resource::Everything,
            },
            _ => Resource::Everything,
        };
        Ok(self.leg(action, Target::NoKey(resource)))
    }

    fn account_prefix(&self, region: &str) -> String {
        let partition = arn::partition(&self.caller.arn).unwrap_or("aws");
        let account = self.caller.account.as_deref().unwrap_or("");
        format!("arn:{partition}:kms:{region}:{account}:")
    }

    /// What stands in the caller's account; a service has none.
    fn local(&self, name: &str) -> Read<String> {
        let region = self.request.region()?;
        match self.caller.account {
            Some(_) => Ok(format!("{}{name}", self.account_prefix(&region))),
            None => Err(Refusal::Request),
        }
    }

    /// The alias itself: by identity policy alone.
    fn alias(&self, action: &str) -> Read<Leg<'a>> {
        if !self.request.key_id.is_empty() {
            return Err(Refusal::Request);
        }
        Ok(self.leg(action, Target::Alias(self.local(&self.needed("aliasName")?)?)))
    }

    /// The key that CreateAlias and UpdateAlias name.
    fn target_key(&self, action: &str) -> Read<Leg<'a>> {
        Ok(self.leg(action, self.key(&self.needed("targetKeyId")?, action)?))
    }

    /// The key that the alias names now.
    fn current_key(&self, action: &str) -> Read<Leg<'a>> {
        let target = self.behind(&self.local(&self.needed("aliasName")?)?, None);
        Ok(self.leg(action, target))
    }

    /// The key behind an alias.
    fn behind(&self, alias_arn: &str, named_by: Option<String>) -> Target<'a> {
        let alias = self.world.aliases.iter().find(|alias| alias.arn == alias_arn);
        let key = alias.and_then(|alias| self.world.key(&alias.key_arn));
        match key {
            Some(key) => Target::Key(key, named_by),
            None => unknown(alias_arn),
        }
    }

    /// One of the four forms of a key identifier.
    fn key(&self, id: &str, action: &str) -> Read<Target<'a>> {
        let is_alias = id.starts_with("alias/") || arn::after(id, "alias/").is_some();
        if is_alias && !catalog::takes_alias(action) {
            return Err(Refusal::Request);
        }
        let arn = match id.starts_with("arn:") {
            true => id.to_owned(),
            false if is_alias => self.local(id)?,
            false => self.local(&format!("key/{id}"))?,
        };
        let of_kms = arn::parts(&arn).is_some_and(|parts| parts[2] == "kms");
        if !of_kms || id.is_empty() {
            return Err(Refusal::Request);
        }
        if is_alias {
            let name = arn::after(&arn, "alias/").map(|name| format!("alias/{name}"));
            return Ok(self.behind(&arn, name));
        }
        Ok(self.world.key(&arn).map_or(unknown(&arn), |key| Target::Key(key, None)))
    }
}

fn unknown<'a>(arn: &str) -> Target<'a> {
    Target::Unknown { arn: arn.to_owned(), owner: arn::account(arn).map(str::to_owned) }
}
