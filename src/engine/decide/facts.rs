//! The values of condition keys for one authorization. Derived when a condition asks.
//!
//! Source: AWS KMS Developer Guide, "AWS KMS condition keys"; IAM User Guide, "AWS global condition
//! context keys".

use std::cell::{Cell, OnceCell};

use super::caller::Caller;
use super::resource::Resource;
use crate::engine::grant::ContextConstraint;
use crate::engine::kms::action::Action;
use crate::engine::kms::condition_key::{RequestKey, find};
use crate::engine::snapshot::{Key, Snapshot};
use crate::engine::term::composed::Composed;
use crate::engine::term::condition_key::{ConditionKey, KeySource};
use crate::engine::term::request::{AssertedValues, OverrideValue, Pairs, Parameters, Request};
use crate::engine::term::text::same;
use crate::engine::term::time::Timestamp;
use crate::engine::term::values::{Context, Many, PairList, Scalar, Values};

/// What one authorization is asked with.
pub struct Facts<'a, 'l> {
    /// The set.
    pub snapshot: &'a Snapshot,
    /// The request.
    pub request: &'a Request<'a>,
    /// The caller.
    pub caller: &'l Caller<'a>,
    /// The IAM action.
    pub action: Action,
    /// What it is about.
    pub resource: &'l Resource<'a, 'l>,
    /// Region of the endpoint that was called.
    pub region: Option<&'a str>,
    /// What differs between the legs of an operation.
    pub leg: LegFacts<'a>,
    /// The composed value of `aws:userid`.
    pub user_id: OnceCell<Option<Composed<'a>>>,
    /// Whether a condition asked what time it is.
    pub asked_the_time: Cell<bool>,
}

/// What differs between the legs of an operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct LegFacts<'a> {
    /// Encryption context of the leg.
    pub encryption_context: Option<&'a Pairs<'a>>,
    /// Encryption algorithm of the leg.
    pub encryption_algorithm: Option<&'a str>,
    /// The alias by which the request names the key.
    pub alias: Option<&'a str>,
    /// ReEncrypt: whether source and destination are one key.
    pub same_key: Option<bool>,
    /// ReplicateKey: the primary, of which a replica is made.
    pub replicated: Option<&'a Key>,
    /// RetireGrant: the limit of the grant.
    pub retired: Option<&'a ContextConstraint>,
}

impl Context for Facts<'_, '_> {
    fn values<'v>(&'v self, key: &'v ConditionKey) -> Values<'v> {
        if !self.request.overrides.is_empty()
            && let Some(found) = self.request.overrides.iter().find(|other| key.is(&other.name))
        {
            return overridden(key, &found.value);
        }
        match key.source {
            KeySource::Asserted => self.asserted(key),
            KeySource::EncryptionContext => self.encryption_context(key.suffix()),
            KeySource::RecipientAttestation => self.when(RequestKey::RecipientAttestation, || {
                PairList::Told(&self.parameters().recipient_attestation).values_of(key.suffix())
            }),
            KeySource::PrincipalTag => self.principal_tag(key.suffix()),
            KeySource::RequestTag => self.when(RequestKey::RequestTag, || {
                PairList::Told(&self.parameters().tags).values_of(key.suffix())
            }),
            KeySource::ResourceTag => match self.resource.key() {
                Some(kms) => PairList::Stored(&kms.tags).values_of(key.suffix()),
                None => Values::Absent,
            },
            source => self.kms(source).unwrap_or_else(|| self.global(source, key)),
        }
    }
}

impl<'a> Facts<'a, '_> {
    pub(super) fn parameters(&self) -> &Parameters<'a> {
        &self.request.parameters
    }

    /// The instant of the decision. Nothing else may read it of the request: what policies say is
    /// kept only where it was not asked for.
    pub(super) fn now(&self) -> Timestamp {
        self.asked_the_time.set(true);
        self.request.now
    }

    /// Absent unless the action has the key.
    pub(super) fn when<'v>(
        &self,
        key: RequestKey,
        values: impl FnOnce() -> Values<'v>,
    ) -> Values<'v> {
        if self.action.condition_key(key) && !matches!(self.resource, Resource::Alias { .. }) {
            values()
        } else {
            Values::Absent
        }
    }

    /// The one text that a key has which callers assert: of the simulation's overrides, else of the
    /// request.
    #[must_use]
    pub fn asserted_text(&self, name: &str) -> Option<&str> {
        if let Some(found) = self.request.overrides.iter().find(|other| same(&other.name, name)) {
            return if let OverrideValue::One(value) = &found.value { Some(value) } else { None };
        }
        let found = self.request.context.iter().find(|asserted| same(asserted.name, name))?;
        if let AssertedValues::One(value) = &found.values { Some(value) } else { None }
    }

    pub(super) fn asserted<'v>(&'v self, key: &'v ConditionKey) -> Values<'v> {
        let Some(found) = self.request.context.iter().find(|asserted| key.is(asserted.name)) else {
            return Values::Absent;
        };
        match &found.values {
            AssertedValues::One(value) => Values::text(Some(value)),
            AssertedValues::Many(values) => Values::texts(values),
        }
    }
}

pub(super) fn flag<'v>(value: Option<bool>) -> Values<'v> {
    value.map_or(Values::Absent, |value| Values::One(Scalar::Bool(value)))
}

pub(super) fn account(text: Option<&str>) -> Values<'_> {
    Values::text(text)
}

fn overridden<'v>(key: &ConditionKey, value: &'v OverrideValue) -> Values<'v> {
    match value {
        OverrideValue::Absent => Values::Absent,
        OverrideValue::One(value) => {
            let multivalued = find(&key.name).is_some_and(|row| row.multivalued);
            if multivalued {
                Values::many(Many::Strings(std::slice::from_ref(value)))
            } else {
                Values::text(Some(value))
            }
        }
        OverrideValue::Many(values) => Values::many(Many::Strings(values)),
    }
}
