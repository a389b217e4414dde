//! Who calls, and what the set knows of it.
//!
//! Source: IAM User Guide, "AWS JSON policy elements: Principal", "IAM identifiers", "Permissions
//! for GetFederationToken".

use super::policy::Policy;
use super::principals::{is_name, is_service};
use super::request::Request;
use super::switches::Switches;
use super::world::{Identity, World};
use super::{Refusal, arn};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Root,
    User,
    /// A session of a role.
    Session,
    /// A session from GetFederationToken.
    Federated,
    /// An AWS service acting as itself.
    Service,
}

pub(crate) struct Caller<'a> {
    pub(crate) kind: Kind,
    pub(crate) arn: String,
    /// A service has none.
    pub(crate) account: Option<String>,
    /// The user's, role's or federated user's name.
    pub(crate) name: String,
    /// The role behind a session, with its path, when it is known: a session does not tell.
    pub(crate) role_arn: Option<String>,
    /// The IAM user behind a federated session, when it is known.
    pub(crate) issuer_arn: Option<String>,
    /// Whether the user behind a federated session has the session's name, where nobody says more.
    pub(crate) issuer_is_a_namesake: bool,
    /// The user, the role or the user behind a federated session, as the set describes it.
    pub(crate) identity: Option<&'a Identity>,
    /// The policies of the identity and of its groups.
    pub(crate) identity_policies: Vec<&'a Policy>,
    pub(crate) session_policies: Option<&'a [Policy]>,
    pub(crate) user_id: Option<String>,
    /// The set describes the account but not this caller.
    pub(crate) is_never_allowed: bool,
}

impl<'a> Caller<'a> {
    pub(crate) fn read(
        request: &'a Request,
        world: &'a World,
        switches: &Switches,
    ) -> Result<Self, Refusal> {
        let text = |member: &str| request.principal[member].as_str().filter(|t| !t.is_empty());
        let arn = text("arn").ok_or(Refusal::Request)?;
        let mut caller = Caller {
            kind: Kind::Service,
            arn: arn.to_owned(),
            account: None,
            name: arn.to_owned(),
            role_arn: None,
            issuer_arn: None,
            issuer_is_a_namesake: false,
            identity: None,
            identity_policies: Vec::new(),
            session_policies: request.session_policies.as_deref(),
            user_id: text("userId").map(str::to_owned),
            is_never_allowed: false,
        };
        let (role, issuer) = (text("roleArn"), text("issuerArn"));
        if is_service(arn) {
            let alone = role.is_none() && issuer.is_none() && caller.user_id.is_none();
            return if alone { Ok(caller) } else { Err(Refusal::Request) };
        }
        let Some([_, _, service, "", account, resource]) = arn::parts(arn) else {
            return Err(Refusal::Request);
        };
        if !arn::is_account_id(account) {
            return Err(Refusal::Request);
        }
        caller.account = Some(account.to_owned());
        match (service, resource.split('/').collect::<Vec<_>>().as_slice()) {
            ("iam", ["root"]) => caller.kind = Kind::Root,
            ("iam", ["user", _, ..]) => {
                caller.kind = Kind::User;
                caller.name = arn::last_name(arn).to_owned();
                caller.identity = world.users.iter().find(|user| user.arn == arn);
            }
            ("sts", ["assumed-role", role_name, _]) => {
                caller.kind = Kind::Session;
                caller.name = (*role_name).to_owned();
                caller.find_role(role, world)?;
            }
            ("sts", ["federated-user", name]) => {
                caller.kind = Kind::Federated;
                caller.name = (*name).to_owned();
                caller.find_issuer(issuer, world, switches)?;
            }
            _ => return Err(Refusal::Request),
        }
        let misplaced_role = role.is_some() && caller.kind != Kind::Session;
        let misplaced_issuer = issuer.is_some() && caller.kind != Kind::Federated;
        if !is_name(&caller.name) && caller.kind != Kind::Root || misplaced_role || misplaced_issuer
        {
            return Err(Refusal::Request);
        }
        if !caller.has_its_user_id() {
            return Err(Refusal::Request);
        }
        caller.identity_policies = policies_of(caller.identity, world);
        caller.is_never_allowed = caller.is_unknown(world, switches);
        Ok(caller)
    }

    /// The role behind the session: as the request says, which must agree with the set.
    fn find_role(&mut self, given: Option<&str>, world: &'a World) -> Result<(), Refusal> {
        let account = self.account.as_deref();
        let partition = |arn: &str| arn::same_partition(arn, &self.arn);
        let in_set = world
            .roles
            .iter()
            .find(|r| r.account() == account && partition(&r.arn) && r.name == self.name);
        let fits = |role: &str| {
            let is_role = arn::after(role, "role/").is_some();
            let is_named = arn::last_name(role) == self.name;
            is_role && arn::account(role) == account && partition(role) && is_named
        };
        let contradicts = |role: &str| in_set.is_some_and(|known| known.arn != role);
        if given.is_some_and(|role| !fits(role) || contradicts(role)) {
            return Err(Refusal::Request);
        }
        self.role_arn = given.map(str::to_owned).or(in_set.map(|role| role.arn.clone()));
        self.identity = in_set;
        Ok(())
    }

    /// The IAM user behind a federated session: as the request says, else the user of its name.
    fn find_issuer(
        &mut self,
        given: Option<&str>,
        world: &'a World,
        switches: &Switches,
    ) -> Result<(), Refusal> {
        let account = self.account.as_deref();
        let partition = |arn: &str| arn::same_partition(arn, &self.arn);
        let fits = |user: &str| {
            arn::after(user, "user/").is_some() && arn::account(user) == account && partition(user)
        };
        if given.is_some_and(|user| !fits(user)) {
            return Err(Refusal::Request);
        }
        let by_name = switches.is("federated_by_name", "true");
        let is_issuer = |user: &&Identity| match given {
            Some(arn) => user.arn == arn,
            None => {
                let own = user.account() == account && partition(&user.arn);
                by_name && own && user.name == self.name
            }
        };
        self.identity = world.users.iter().find(is_issuer);
        let described = self.identity.map(|user| user.arn.clone());
        self.issuer_arn = given.map(str::to_owned).or(described);
        self.issuer_is_a_namesake = by_name;
        Ok(())
    }

    /// Whether `aws:userid`, as the request says it, is what the set or the caller's ARN says.
    fn has_its_user_id(&self) -> bool {
        let Some(given) = self.user_id.as_deref() else { return true };
        let known = self.identity.and_then(|identity| identity.id.as_deref());
        let account = self.account.as_deref().unwrap_or("");
        match (self.kind, known) {
            (Kind::User, known) => known.is_none_or(|id| given == id),
            (Kind::Session, known) => match given.split_once(':') {
                Some((role, session)) => {
                    known.is_none_or(|id| role == id)
                        && !role.is_empty()
                        && session == arn::last_name(&self.arn)
                }
                None => false,
            },
            (Kind::Federated, _) => given == format!("{account}:{}", self.name),
            (Kind::Root, _) => given == account,
            (Kind::Service, _) => false,
        }
    }

    fn is_unknown(&self, world: &World, switches: &Switches) -> bool {
        if matches!(self.kind, Kind::Root | Kind::Service) || self.identity.is_some() {
            return false;
        }
        match switches.value("unknown_principal") {
            "no-policies" => false,
            "deny" => true,
            _ => world.describes(self.account.as_deref()),
        }
    }

    /// A federated session without session policies has an empty set of them, which allows nothing.
    pub(crate) fn is_bare_federated(&self) -> bool {
        self.kind == Kind::Federated && self.session_policies.is_none()
    }

    pub(crate) fn boundary(&self) -> Option<&'a Policy> {
        self.identity.and_then(|identity| identity.boundary.as_ref())
    }

    /// Only a role that the set holds under `/aws-service-role/` is service-linked.
    pub(crate) fn is_service_linked_role(&self) -> bool {
        let path = self.identity.and_then(|role| arn::after(&role.arn, "role/"));
        self.kind == Kind::Session && path.is_some_and(|path| path.starts_with("aws-service-role/"))
    }

    /// `AIDA…` or `AROA…` of the user or role behind the call, when it is known.
    pub(crate) fn unique_id(&self) -> Option<String> {
        let of_session = self.user_id.as_deref().and_then(|id| id.split(':').next());
        let described = self.identity.and_then(|identity| identity.id.clone());
        match self.kind {
            Kind::User | Kind::Session => of_session.map(str::to_owned).or(described),
            Kind::Federated => described,
            Kind::Root | Kind::Service => None,
        }
    }
}

/// A user's policies are its own and its groups'.
fn policies_of<'a>(identity: Option<&'a Identity>, world: &'a World) -> Vec<&'a Policy> {
    let Some(identity) = identity else { return Vec::new() };
    let mut policies: Vec<&Policy> = identity.policies.iter().collect();
    for name in &identity.groups {
        let mut groups = world.groups.iter();
        let group = groups.find(|group| identity.may_be_in(group) && group.name == *name);
        policies.extend(&group.expect("checked at load").policies);
    }
    policies
}
