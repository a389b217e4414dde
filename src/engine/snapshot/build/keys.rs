//! Keys: `KeyMetadata` and what stands beside it.

use std::sync::Arc;

use super::reading::Reading;
use super::revision::Holds;
use super::tags::Case;
use crate::engine::json::Json;
use crate::engine::kms::key_state::{KeyOrigin, KeySpec, KeyState, KeyUsage, MultiRegionKeyType};
use crate::engine::policy::{Policy, PolicyKind};
use crate::engine::snapshot::{Extras, Key};
use crate::engine::term::arn::Arn;
use crate::engine::term::key_id::KeyId;

/// The members that make a key. Aliases and grants are things of their own.
const MEMBERS: [&str; 8] = [
    "KeyMetadata",
    "Policy",
    "RamPolicy",
    "Tags",
    "KeyRotationEnabled",
    "KeyLastUsage",
    "TrackingStartDate",
    "KeyCreationDate",
];

/// The key managers that exist.
const MANAGERS: [&str; 2] = ["AWS", "CUSTOMER"];

impl Reading<'_> {
    /// A key: an object with `KeyMetadata`.
    ///
    /// Source: AWS KMS API Reference, `DescribeKey`, `GetKeyPolicy`, `ListResourceTags`.
    pub(super) fn key(&mut self, object: &Json<'_>) {
        let Some(metadata) = self.key_metadata(object) else { return };
        let arn = self.key_arn(metadata);
        let errors = self.said.problems.len();
        let key = self.key_with(object, metadata, arn);
        let clean = key.filter(|_| self.no_error_since(errors)).map(Arc::new);
        let Some(arn) = arn else { return };
        let counts = |name: &str| MEMBERS.contains(&name);
        let digest = self.fingerprint("key", arn.text, object, counts, Holds::Policies);
        let id = clean.as_ref().map_or_else(|| arn.text.into(), |key| Arc::clone(&key.arn));
        let at = (digest, metadata.span);
        self.add(|said| &mut said.keys, ("key", arn.text), id, at, clean);
        let aliases = self.list(object, "Aliases");
        self.aliases(aliases, Some(&arn));
        let grants = self.list(object, "Grants");
        self.grants(grants, Some(&arn));
    }

    fn key_metadata<'j, 'a>(&mut self, object: &'j Json<'a>) -> Option<&'j Json<'a>> {
        if !self.is_object(object, "Keys") {
            return None;
        }
        let Some(metadata) = self.member(object, "KeyMetadata") else {
            let help = "a key is the output of `aws kms describe-key`, with `Policy` beside it";
            self.error("missing-member", "`KeyMetadata` is missing", help, object.span);
            return None;
        };
        self.is_object(metadata, "KeyMetadata").then_some(metadata)
    }

    /// The ARN, and that id and account agree with it.
    fn key_arn<'j>(&mut self, metadata: &'j Json<'_>) -> Option<Arn<'j>> {
        let text = self.required_text(metadata, "Arn")?;
        let Ok(KeyId::Arn(arn)) = KeyId::parse(text) else {
            let json = metadata.member("Arn")?;
            let message = format!("`{text}` is not the ARN of a KMS key");
            let help = "write it as `arn:aws:kms:us-west-2:111122223333:key/…`";
            self.error("bad-key-arn", message, help, json.span);
            return None;
        };
        let id = arn.resource().strip_prefix("key/").unwrap_or_default();
        self.agrees(metadata, "KeyId", &[id, text]);
        self.agrees(metadata, "AWSAccountId", &[arn.account()]);
        Some(arn)
    }

    /// Reports if the member is there and has none of these values.
    fn agrees(&mut self, metadata: &Json<'_>, name: &str, values: &[&str]) {
        let Some(text) = self.text(metadata, name) else { return };
        if !values.contains(&text)
            && let Some(json) = metadata.member(name)
        {
            let message =
                format!("`{name}` is `{text}`, but `Arn` says `{}`", values.first().unwrap_or(&""));
            self.error("contradicting-members", message, "make them agree", json.span);
        }
    }

    fn key_with(
        &mut self,
        object: &Json<'_>,
        metadata: &Json<'_>,
        arn: Option<Arn<'_>>,
    ) -> Option<Key> {
        let policy = self.key_policy(object, metadata, arn.as_ref());
        let ram_policy = self
            .member(object, "RamPolicy")
            .map(|json| self.policy(PolicyKind::Key, "RamPolicy", json));
        let manager = self.known(metadata, "KeyManager", &MANAGERS, |name| {
            MANAGERS.iter().position(|m| *m == name)
        });
        let spec = if self.member(metadata, "KeySpec").is_some() {
            "KeySpec"
        } else {
            "CustomerMasterKeySpec"
        };
        let spec = self.known(metadata, spec, KeySpec::NAMES, KeySpec::from_name);
        let usage = self.known(metadata, "KeyUsage", KeyUsage::NAMES, KeyUsage::from_name);
        let state = self.known(metadata, "KeyState", KeyState::NAMES, KeyState::from_name);
        let enabled = self.truth(metadata, "Enabled");
        let origin = self.known(metadata, "Origin", KeyOrigin::NAMES, KeyOrigin::from_name);
        let origin = origin.unwrap_or(KeyOrigin::AwsKms);
        let custom_key_store = self.text(metadata, "CustomKeyStoreId").is_some();
        let (multi_region, multi_region_type) = self.multi_region(metadata, arn.as_ref());
        let tags = self.tags(object, Case::Counts);
        let unused_since = self.unused_since(object, metadata);
        let arn = arn?;
        let ram_policy = match ram_policy {
            Some(compiled) => Some(compiled?),
            None => None,
        };
        let extras = Extras { ram_policy, aliases: Vec::new(), tags: tags.into(), unused_since };
        Some(Key {
            arn: arn.text.into(),
            account: arn.account_id()?,
            policy: policy?,
            // `Enabled` is true in the state Enabled alone.
            // Source: AWS KMS API Reference, `KeyMetadata`.
            state: state.unwrap_or(if enabled == Some(false) {
                KeyState::Disabled
            } else {
                KeyState::Enabled
            }),
            spec: spec.unwrap_or(KeySpec::SymmetricDefault),
            usage: usage.unwrap_or(KeyUsage::EncryptDecrypt),
            origin,
            custom_key_store: custom_key_store
                || matches!(origin, KeyOrigin::AwsCloudhsm | KeyOrigin::ExternalKeyStore),
            aws_managed: manager == Some(0),
            multi_region,
            multi_region_type,
            extras: extras.kept(),
        })
    }

    fn key_policy(
        &mut self,
        object: &Json<'_>,
        metadata: &Json<'_>,
        arn: Option<&Arn<'_>>,
    ) -> Option<Arc<Policy>> {
        match self.member(object, "Policy") {
            Some(json) if json.as_text() == Some("default") => self.default_key_policy(arn?),
            Some(json) => self.recalled(json, |reading| {
                reading.check_key_policy(json);
                reading.policy(PolicyKind::Key, "Policy", json)
            }),
            None if self.options.assume_default_key_policy => self.default_key_policy(arn?),
            None => {
                let name = arn.map_or("?", |arn| arn.text);
                let message = format!("the key `{name}` has no `Policy`");
                let help = "put that of `aws kms get-key-policy` beside `KeyMetadata`, or write \
                            `\"Policy\": \"default\"` for KMS's default key policy";
                self.error("missing-key-policy", message, help, metadata.span);
                None
            }
        }
    }

    /// `MultiRegion` is believed; without it the configuration or the key id tells.
    ///
    /// Source: AWS KMS Developer Guide, "Multi-Region keys" (ids begin with `mrk-`).
    fn multi_region(
        &mut self,
        metadata: &Json<'_>,
        arn: Option<&Arn<'_>>,
    ) -> (bool, Option<MultiRegionKeyType>) {
        let told = self.truth(metadata, "MultiRegion");
        let configuration = self.member(metadata, "MultiRegionConfiguration");
        let configuration =
            configuration.filter(|json| self.is_object(json, "MultiRegionConfiguration"));
        let kind = configuration.and_then(|json| {
            let (names, read) = (MultiRegionKeyType::NAMES, MultiRegionKeyType::from_name);
            self.known(json, "MultiRegionKeyType", names, read)
        });
        let looks = || arn.is_some_and(|arn| arn.resource().starts_with("key/mrk-"));
        let multi_region = told.unwrap_or_else(|| configuration.is_some() || looks());
        (multi_region, kind.filter(|_| multi_region))
    }

    /// A member with one of the values that KMS knows, if it is there.
    pub(super) fn known<T>(
        &mut self,
        object: &Json<'_>,
        name: &str,
        names: &[&str],
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(object, name)?;
        let value = read(text);
        if value.is_none()
            && let Some(json) = object.member(name)
        {
            self.unknown_value(json, name, names);
        }
        value
    }
}
