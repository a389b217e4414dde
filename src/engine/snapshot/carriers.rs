//! Who carries which policy.

use std::sync::Arc;

use super::{Attached, PolicySet};
use crate::engine::decide::decision::Layer;
use crate::engine::policy::Policy;

/// A policy, and one that carries it.
#[derive(Clone, Debug)]
pub struct Carried {
    /// What kind of policy it is there.
    pub layer: Layer,
    /// ARN of the key, user or role; id of the endpoint; number of the account.
    pub carrier: Box<str>,
    /// Name or ARN of the policy.
    pub id: Box<str>,
    /// The policy.
    pub policy: Arc<Policy>,
}

impl PolicySet {
    /// Every policy of the set, once for each that carries it, in order of kind, carrier and name.
    #[must_use]
    pub fn carried(&self) -> Vec<Carried> {
        let mut all = Vec::new();
        let mut add = |layer, carrier: &str, id: &str, policy: &Arc<Policy>| {
            let policy = Arc::clone(policy);
            all.push(Carried { layer, carrier: carrier.into(), id: id.into(), policy });
        };
        for key in self.keys.values() {
            add(Layer::KeyPolicy, &key.arn, "default", &key.policy);
            if let Some(policy) = &key.ram_policy {
                add(Layer::KeyPolicy, &key.arn, "AWS_RAM", policy);
            }
        }
        for identity in self.users.values().chain(self.roles.values()) {
            for attached in identity.policies.iter() {
                add(Layer::Identity, &identity.arn, &attached.id, &attached.policy);
            }
            if let Some(attached) = &identity.boundary {
                add(Layer::Boundary, &identity.arn, &attached.id, &attached.policy);
            }
        }
        for (id, policy) in &self.endpoints {
            add(Layer::Endpoint, id, id, policy);
        }
        for (account, member) in self.organization.iter().flat_map(|all| &all.accounts) {
            for level in &member.levels {
                let kinds = [
                    (Layer::Scp, &level.service_control_policies),
                    (Layer::Rcp, &level.resource_control_policies),
                ];
                for (layer, policies) in kinds {
                    for attached in policies.iter().flat_map(|policies| policies.iter()) {
                        add(layer, account.as_str(), &attached.id, &attached.policy);
                    }
                }
            }
        }
        all.sort_by(|a, b| (a.layer, &a.carrier, &a.id).cmp(&(b.layer, &b.carrier, &b.id)));
        all
    }

    /// Puts a policy in the place of another, wherever that is carried.
    pub fn replace(&mut self, old: &Arc<Policy>, new: &Arc<Policy>) {
        let put = |slot: &mut Arc<Policy>| {
            if Arc::ptr_eq(slot, old) {
                *slot = Arc::clone(new);
            }
        };
        for key in self.keys.entries_mut() {
            let carries = |policy: &Arc<Policy>| Arc::ptr_eq(policy, old);
            if !carries(&key.policy) && !key.ram_policy.as_ref().is_some_and(carries) {
                continue;
            }
            let key = Arc::make_mut(key);
            put(&mut key.policy);
            key.extras.iter_mut().flat_map(|extras| &mut extras.ram_policy).for_each(put);
        }
        let set = Arc::make_mut(&mut self.surroundings);
        for identity in set.users.values_mut().chain(set.roles.values_mut()) {
            let carries = |attached: &Attached| Arc::ptr_eq(&attached.policy, old);
            if identity.policies.iter().any(carries) {
                let own = Arc::make_mut(&mut identity.policies);
                own.iter_mut().for_each(|attached| put(&mut attached.policy));
            }
            identity.boundary.iter_mut().for_each(|attached| put(&mut attached.policy));
        }
        set.endpoints.values_mut().for_each(put);
        let members = set.organization.iter_mut().flat_map(|all| all.accounts.values_mut());
        for level in members.flat_map(|member| member.levels.iter_mut()) {
            for policies in
                [&mut level.service_control_policies, &mut level.resource_control_policies]
            {
                if let Some(policies) = policies
                    && policies.iter().any(|attached| Arc::ptr_eq(&attached.policy, old))
                {
                    let mut changed: Vec<Attached> = policies.to_vec();
                    changed.iter_mut().for_each(|attached| put(&mut attached.policy));
                    *policies = changed.into();
                }
            }
        }
    }
}
