//! What the say of policies depends on: all of it.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Weak};

use equivalent::Equivalent;
use smallvec::SmallVec;

use super::caller::Caller;
use super::facts::{Facts, LegFacts};
use super::guardrails::endpoint_id;
use super::written::Written;
use crate::engine::evaluation::Evaluation;
use crate::engine::kms::action::Action;
use crate::engine::policy::Policy;
use crate::engine::snapshot::organization::{Level, Member, Organization};
use crate::engine::snapshot::{Attached, Extras, Identity, Key, PolicySet, Snapshot, Surroundings};
use crate::engine::term::account::AccountId;

/// All that the policies' say of one authorization depends on. Two grounds are the same if their
/// texts are and if they are of the same compiled policies: not of equal ones, of the very same.
#[derive(Debug, Default)]
pub struct Grounds<'a> {
    written: Written,
    policies: SmallVec<[&'a Arc<Policy>; 32]>,
}

/// Grounds that are kept. A policy that no snapshot has any more is not kept alive, but its address
/// is, and so is never that of another one.
#[derive(Clone, Debug)]
pub struct Held {
    written: Box<[u8]>,
    policies: Box<[Weak<Policy>]>,
}

impl<'a> Grounds<'a> {
    /// Adds all that counts for a caller whose user or role is known, and a key; whether the policies'
    /// say may be kept.
    pub(super) fn fill(
        &mut self,
        facts: &Facts<'a, '_>,
        key: &'a Key,
        identity: &'a Identity,
    ) -> bool {
        let Facts {
            snapshot,
            request,
            caller,
            action,
            // The key.
            resource: _,
            region,
            leg,
            // Of the request and the identity.
            user_id: _,
            asked_the_time: _,
        } = facts;
        // Grants are looked at each time.
        let Snapshot { policies, grants: _ } = snapshot;
        // Of keys, users and roles these two alone count; the rest has shown in which they are, and
        // in the Region. The revision is told, not asked for.
        let PolicySet { keys: _, aliases: _, surroundings, evaluation, revision: _ } = &**policies;
        let Surroundings {
            users: _,
            user_arns: _,
            roles: _,
            described_accounts: _,
            organization,
            endpoints,
            default_region: _,
            only_region: _,
        } = &**surroundings;
        if !request.overrides.is_empty() || !self.leg(*action, *region, leg) {
            return false;
        }
        self.written.request(request);
        self.written.length(request.session_policies.len());
        self.policies.extend(&request.session_policies);
        self.caller(caller);
        self.identity(identity);
        self.key(key);
        self.evaluation(evaluation);
        self.organization(organization.as_ref(), [caller.account(), Some(key.account)]);
        let any = !endpoints.is_empty();
        let policy = if any { endpoint_id(request).and_then(|id| endpoints.get(id)) } else { None };
        self.written.small([u8::from(any), u8::from(policy.is_some())]);
        self.policies.extend(policy);
        true
    }

    /// The same, to be kept.
    #[must_use]
    pub fn hold(&self) -> Held {
        Held {
            written: self.written.bytes().into(),
            policies: self.policies.iter().map(|policy| Arc::downgrade(policy)).collect(),
        }
    }

    /// What differs between the legs of a request; whether it can be written down.
    fn leg(&mut self, action: Action, region: Option<&str>, leg: &LegFacts<'_>) -> bool {
        let LegFacts {
            encryption_context,
            encryption_algorithm,
            alias,
            same_key,
            replicated,
            retired,
        } = leg;
        let out = &mut self.written;
        out.small([action as u8, u8::from(encryption_context.is_some())]);
        out.maybe(region);
        out.pairs(encryption_context.map_or(&[], |pairs| pairs));
        out.maybe(*encryption_algorithm);
        out.maybe(*alias);
        out.flag(*same_key);
        // They are another key, and of a grant.
        replicated.is_none() && retired.is_none()
    }

    fn caller(&mut self, caller: &Caller<'_>) {
        let Caller {
            // Of the request.
            principal: _,
            // Written by itself.
            identity: _,
            role_arn,
            issuer_arn,
            // A switch.
            issuer_is_a_namesake: _,
            unknown,
            // The session policies show it.
            has_session_policies: _,
            // Of the principal, the role and the issuer.
            marks: _,
            unique_id,
        } = caller;
        let out = &mut self.written;
        out.maybe(*role_arn);
        out.maybe(*issuer_arn);
        out.small([u8::from(*unknown)]);
        out.maybe(*unique_id);
    }

    fn identity(&mut self, identity: &'a Identity) {
        let Identity {
            arn,
            account,
            name,
            unique_id,
            policies,
            boundary,
            tags,
            service_linked,
            // Of the ARN and the account.
            marks: _,
            // Of the policies and the boundary.
            effort: _,
        } = identity;
        let out = &mut self.written;
        out.text(arn);
        out.text(name);
        out.small(*account.digits());
        out.maybe(unique_id.as_deref());
        out.pairs(tags);
        out.small([u8::from(*service_linked), u8::from(boundary.is_some())]);
        self.attached(policies);
        self.policies.extend(boundary.iter().map(policy));
    }

    fn key(&mut self, key: &'a Key) {
        let Key {
            arn,
            account,
            policy,
            state,
            spec,
            usage,
            origin,
            custom_key_store,
            aws_managed,
            multi_region,
            multi_region_type,
            // What it has of them, or none of them.
            extras: _,
        } = key;
        let Extras { ram_policy, aliases, tags, unused_since } = &**key;
        let out = &mut self.written;
        out.text(arn);
        out.small(*account.digits());
        out.small([*state as u8, *spec as u8, *usage as u8, *origin as u8]);
        out.small([*custom_key_store, *aws_managed, *multi_region].map(u8::from));
        out.small([multi_region_type.map_or(u8::MAX, |kind| kind as u8)]);
        out.texts(aliases);
        out.pairs(tags);
        out.time(*unused_since);
        out.small([u8::from(ram_policy.is_some())]);
        self.policies.push(policy);
        self.policies.extend(ram_policy);
    }

    fn evaluation(&mut self, evaluation: &Evaluation) {
        let Evaluation {
            profile,
            cross_account_grant,
            grant_ec_key_case,
            grants_limited_by_boundary,
            grant_account_grantee,
            notprincipal_requires_account,
            aws_star_matches_service,
            multivalue_without_setop,
            forany_ifexists_absent,
            abac_keys_in_key_policy,
            auth_before_state,
            ram_policy,
            unknown_principal,
            unknown_vpc_endpoint,
            federated_by_name,
        } = *evaluation;
        self.written.small([
            profile as u8,
            cross_account_grant as u8,
            grant_ec_key_case as u8,
            grants_limited_by_boundary as u8,
            grant_account_grantee as u8,
            notprincipal_requires_account as u8,
            aws_star_matches_service as u8,
            multivalue_without_setop as u8,
            forany_ifexists_absent as u8,
            abac_keys_in_key_policy as u8,
            auth_before_state as u8,
            ram_policy as u8,
            unknown_principal as u8,
            unknown_vpc_endpoint as u8,
            federated_by_name as u8,
        ]);
    }

    /// Where an organization has two accounts.
    fn organization(&mut self, organization: Option<&'a Organization>, of: [Option<AccountId>; 2]) {
        let Some(Organization { id, management_account, accounts }) = organization else {
            return self.written.maybe(None);
        };
        self.written.text(id);
        for account in of.into_iter().flatten() {
            let member = accounts.get(&account);
            let manages = *management_account == Some(account);
            self.written.small([u8::from(manages), u8::from(member.is_some())]);
            let Some(Member { path, levels }) = member else { continue };
            self.written.text(path);
            self.written.length(levels.len());
            for Level { service_control_policies, resource_control_policies } in levels {
                for policies in [service_control_policies, resource_control_policies] {
                    match policies {
                        None => self.written.maybe(None),
                        Some(policies) => self.attached(policies),
                    }
                }
            }
        }
    }

    /// Policies; their names are told, not asked for.
    fn attached(&mut self, attached: &'a [Attached]) {
        self.written.length(attached.len());
        self.policies.extend(attached.iter().map(policy));
    }
}

fn policy(Attached { id: _, policy }: &Attached) -> &Arc<Policy> {
    policy
}

impl Held {
    /// About how many bytes it takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        // A policy that is there no more leaves a place of its size.
        let policy = size_of::<Weak<Policy>>() + size_of::<Policy>();
        size_of::<Self>() + self.written.len() + self.policies.len() * policy
    }
}

impl Hash for Grounds<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.written.bytes());
        self.policies.iter().for_each(|policy| Arc::as_ptr(policy).hash(state));
    }
}

impl Hash for Held {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.written);
        self.policies.iter().for_each(|policy| policy.as_ptr().hash(state));
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        let Self { written, policies } = self;
        let ours = policies.iter().map(Weak::as_ptr);
        *written == other.written && ours.eq(other.policies.iter().map(Weak::as_ptr))
    }
}

impl Eq for Held {}

impl Equivalent<Held> for Grounds<'_> {
    fn equivalent(&self, held: &Held) -> bool {
        let Self { written, policies } = self;
        let ours = policies.iter().map(|policy| Arc::as_ptr(policy));
        *written.bytes() == *held.written && ours.eq(held.policies.iter().map(Weak::as_ptr))
    }
}
