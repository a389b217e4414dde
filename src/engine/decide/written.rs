//! Values written down, so that two of them are the same exactly where the bytes are. Texts and lists
//! have their lengths before them.
//!
//! Every structure is taken apart field by field: one that gets another field does not compile here
//! until it is said what becomes of it.

use smallvec::SmallVec;

use crate::engine::kms::action::ActionSet;
use crate::engine::kms::operation::Operation;
use crate::engine::term::key_id::KeyId;
use crate::engine::term::principal::Principal;
use crate::engine::term::request::{
    Asked, Asserted, AssertedValues, GrantParameters, Parameters, Request,
};
use crate::engine::term::time::Timestamp;

/// What was written down. Of usual requests it does not allocate.
#[derive(Debug, Default)]
pub(super) struct Written(SmallVec<[u8; 1536]>);

impl Written {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What policies can read of a request, but for its session policies.
    pub(super) fn request(&mut self, request: &Request<'_>) {
        let Request {
            principal,
            role_arn,
            issuer_arn,
            session_tags,
            // Compared as all policies are.
            session_policies: _,
            user_id,
            source_identity,
            asked,
            key_id,
            encryption_context,
            // Grants alone depend on them, and are looked at each time.
            grant_tokens: _,
            context,
            parameters,
            region,
            via_service,
            // The answer says it, and no condition asks for it.
            dry_run: _,
            // Where a condition asks for it nothing is kept.
            now: _,
            // With them nothing is kept.
            overrides: _,
        } = request;
        self.principal(principal);
        self.maybe(role_arn.as_ref().map(|arn| arn.text));
        self.maybe(issuer_arn.as_ref().map(|arn| arn.text));
        self.pairs(session_tags);
        self.maybe(*user_id);
        self.maybe(*source_identity);
        match *asked {
            Asked::Action(action) => self.small([0, action as u8]),
            Asked::Operation(Operation::Named(action)) => self.small([1, action as u8]),
            Asked::Operation(Operation::ReEncrypt) => self.small([2, 0]),
        }
        self.key_id(key_id.as_ref());
        self.pairs(encryption_context);
        self.length(context.len());
        for Asserted { name, values } in context {
            self.text(name);
            match values {
                AssertedValues::One(value) => {
                    self.small([0]);
                    self.text(value);
                }
                AssertedValues::Many(values) => {
                    self.small([1]);
                    self.texts(values);
                }
            }
        }
        self.maybe(*region);
        self.maybe(*via_service);
        match parameters.told() {
            None => self.small([0]),
            Some(parameters) => {
                self.small([1]);
                self.parameters(parameters);
            }
        }
    }

    fn principal(&mut self, principal: &Principal<'_>) {
        // All else is read in the text.
        let (kind, text) = match principal {
            Principal::Root { arn, account: _ } => (0, arn),
            Principal::User { arn, account: _, name: _ } => (1, arn),
            Principal::Session { arn, account: _, role: _, session: _ } => (2, arn),
            Principal::Federated { arn, account: _, name: _ } => (3, arn),
            Principal::Service { name } => (4, name),
        };
        self.small([kind]);
        self.text(text);
    }

    pub(super) fn key_id(&mut self, key_id: Option<&KeyId<'_>>) {
        let (kind, text) = match key_id {
            None => return self.small([0]),
            Some(KeyId::Id(id)) => (1, id),
            Some(KeyId::Arn(arn)) => (2, &arn.text),
            Some(KeyId::AliasName(name)) => (3, name),
            Some(KeyId::AliasArn(arn)) => (4, &arn.text),
        };
        self.small([kind]);
        self.text(text);
    }

    fn parameters(&mut self, parameters: &Parameters<'_>) {
        let Parameters {
            encryption_algorithm,
            destination_key_id,
            source_key_id,
            destination_encryption_context,
            destination_encryption_algorithm,
            key_pair_spec,
            signing_algorithm,
            mac_algorithm,
            key_agreement_algorithm,
            wrapping_algorithm,
            wrapping_key_spec,
            message_type,
            policy_name,
            pending_window_in_days,
            rotation_period_in_days,
            bypass_policy_lockout_safety_check,
            expiration_model,
            valid_to,
            primary_region,
            replica_region,
            recipient_attestation,
            key_spec,
            key_usage,
            origin,
            multi_region,
            tags,
            tag_keys,
            alias_name,
            target_key_id,
            grant_id,
            retiring_principal,
            grant,
        } = parameters;
        for text in [
            encryption_algorithm,
            destination_encryption_algorithm,
            key_pair_spec,
            signing_algorithm,
            mac_algorithm,
            key_agreement_algorithm,
            wrapping_algorithm,
            wrapping_key_spec,
            message_type,
            policy_name,
            expiration_model,
            primary_region,
            replica_region,
            key_spec,
            key_usage,
            origin,
            alias_name,
            grant_id,
            retiring_principal,
        ] {
            self.maybe(*text);
        }
        for id in [destination_key_id, source_key_id, target_key_id] {
            self.key_id(id.as_ref());
        }
        for pairs in [destination_encryption_context, recipient_attestation, tags] {
            self.pairs(pairs);
        }
        self.texts(tag_keys);
        for days in [pending_window_in_days, rotation_period_in_days] {
            self.number(days.map(i64::from));
        }
        self.flag(*bypass_policy_lockout_safety_check);
        self.flag(*multi_region);
        self.time(*valid_to);
        match grant {
            None => self.small([0]),
            Some(grant) => {
                self.small([1]);
                self.grant(grant);
            }
        }
    }

    fn grant(&mut self, grant: &GrantParameters<'_>) {
        let GrantParameters {
            grantee_principal,
            grantee_service_principal,
            retiring_principal,
            retiring_service_principal,
            operations,
            encryption_context_equals,
            encryption_context_subset,
            source_arn,
            name,
        } = grant;
        for text in [
            grantee_principal,
            grantee_service_principal,
            retiring_principal,
            retiring_service_principal,
            source_arn,
            name,
        ] {
            self.maybe(*text);
        }
        self.actions(*operations);
        self.pairs(encryption_context_equals);
        self.pairs(encryption_context_subset);
    }

    pub(super) fn small<const N: usize>(&mut self, bytes: [u8; N]) {
        self.0.extend_from_slice(&bytes);
    }

    /// Texts are shorter than messages, and these than four gigabytes.
    pub(super) fn length(&mut self, length: usize) {
        self.small(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.length(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn maybe(&mut self, text: Option<&str>) {
        match text {
            None => self.length(usize::MAX),
            Some(text) => self.text(text),
        }
    }

    pub(super) fn texts(&mut self, texts: &[impl AsRef<str>]) {
        self.length(texts.len());
        texts.iter().for_each(|text| self.text(text.as_ref()));
    }

    pub(super) fn pairs<T: AsRef<str>>(&mut self, pairs: &[(T, T)]) {
        self.length(pairs.len());
        for (name, value) in pairs {
            self.text(name.as_ref());
            self.text(value.as_ref());
        }
    }

    pub(super) fn flag(&mut self, flag: Option<bool>) {
        self.small([flag.map_or(2, u8::from)]);
    }

    fn number(&mut self, number: Option<i64>) {
        self.flag(number.map(|_| true));
        self.small(number.unwrap_or_default().to_le_bytes());
    }

    pub(super) fn time(&mut self, time: Option<Timestamp>) {
        self.number(time.map(Timestamp::seconds));
        self.number(time.map(|at| i64::from(at.nanoseconds())));
    }

    fn actions(&mut self, actions: ActionSet) {
        actions.iter().for_each(|action| self.small([action as u8]));
        self.small([u8::MAX]);
    }
}
