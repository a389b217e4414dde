//! Aliases: names beside a key, or entries of `list-aliases`.

use super::reading::Reading;
use super::revision::digest;
use crate::engine::json::Json;
use crate::engine::term::arn::Arn;
use crate::engine::term::key_id::{KeyId, is_alias_name, is_id, is_reserved_alias};

/// The key ARN that an alias stands for.
pub(super) type Target = Box<str>;

impl Reading<'_> {
    /// A list of aliases; `key` is the one beside which it stands.
    ///
    /// Source: AWS KMS API Reference, `AliasListEntry`; AWS KMS Developer Guide, "Aliases in AWS
    /// KMS".
    pub(super) fn aliases(&mut self, items: &[Json<'_>], key: Option<&Arn<'_>>) {
        for item in items {
            match (item.as_text(), item.as_object()) {
                (Some(name), _) => self.alias_name(item, name, key),
                (None, Some(_)) => self.alias_entry(item, key),
                (None, None) => {
                    self.wrong_type(item, "Aliases", "alias names, or entries of `list-aliases`")
                }
            }
        }
    }

    /// A name alone: an alias of the key beside which it stands.
    fn alias_name(&mut self, item: &Json<'_>, name: &str, key: Option<&Arn<'_>>) {
        let Some(key) = key else {
            let help = "outside a key's object an alias is an entry of `list-aliases`";
            self.error(
                "bad-alias",
                format!("the alias `{name}` stands beside no key"),
                help,
                item.span,
            );
            return;
        };
        match alias_arn(name, key) {
            Some(arn) => self.alias(item, &arn, key.text),
            None => self.bad_alias_name(item, name),
        }
    }

    fn alias_entry(&mut self, item: &Json<'_>, key: Option<&Arn<'_>>) {
        let name = self.text(item, "AliasName");
        let arn = match (self.text(item, "AliasArn"), key) {
            (Some(arn), _) => arn.to_owned(),
            (None, Some(key)) => {
                let Some(name) = name.or_else(|| self.required_text(item, "AliasName")) else {
                    return;
                };
                let Some(arn) = alias_arn(name, key) else {
                    return self.bad_alias_name(item, name);
                };
                arn
            }
            (None, None) => {
                self.required(item, "AliasArn");
                return;
            }
        };
        let Ok(KeyId::AliasArn(alias)) = KeyId::parse(&arn) else {
            return self.bad_alias_name(item, &arn);
        };
        if let Some(name) = name.filter(|name| *name != alias.resource()) {
            let message =
                format!("`AliasName` is `{name}`, but `AliasArn` says `{}`", alias.resource());
            self.error("contradicting-members", message, "make them agree", item.span);
            return;
        }
        let key = key.filter(|_| !is_reserved_alias(&arn));
        match (self.text(item, "TargetKeyId"), key) {
            (Some(target), _) => match target_arn(target, &alias) {
                Some(target) => self.alias(item, &arn, &target),
                None => {
                    let message = format!(
                        "`TargetKeyId` is `{target}`, no key of account and Region of the alias"
                    );
                    self.error(
                        "bad-alias",
                        message,
                        "`TargetKeyId` is a key id, such as `1234abcd-…`",
                        item.span,
                    );
                }
            },
            (None, Some(key)) => self.alias(item, &arn, key.text),
            (None, None) => {
                let message = format!("the alias `{arn}` has no target");
                let help = "KMS lists those of AWS services so until the key is made: leave it out";
                self.warning("alias-without-target", message, help, item.span);
            }
        }
    }

    fn alias(&mut self, item: &Json<'_>, arn: &str, target: &str) {
        let digest = digest(format!("alias {arn} {target}").as_bytes());
        self.said.fingerprints.push(digest);
        let target: Target = target.into();
        self.add(|said| &mut said.aliases, ("alias", arn), arn, (digest, item.span), Some(target));
    }

    fn bad_alias_name(&mut self, item: &Json<'_>, name: &str) {
        let help = "an alias is `alias/` and letters, digits, `/`, `_` and `-`";
        self.error(
            "bad-alias",
            format!("`{name}` is not the name of an alias here"),
            help,
            item.span,
        );
    }
}

/// ARN of an alias of `key`, from its name or ARN.
fn alias_arn(name: &str, key: &Arn<'_>) -> Option<String> {
    if is_alias_name(name) {
        return Some(format!(
            "arn:{}:kms:{}:{}:{name}",
            key.partition(),
            key.region(),
            key.account()
        ));
    }
    let Ok(KeyId::AliasArn(arn)) = KeyId::parse(name) else { return None };
    is_home(&arn, key).then(|| name.to_owned())
}

/// ARN of the key that `TargetKeyId` names.
fn target_arn(target: &str, alias: &Arn<'_>) -> Option<String> {
    if is_id(target) {
        return Some(format!(
            "arn:{}:kms:{}:{}:key/{target}",
            alias.partition(),
            alias.region(),
            alias.account()
        ));
    }
    let Ok(KeyId::Arn(key)) = KeyId::parse(target) else { return None };
    is_home(alias, &key).then(|| target.to_owned())
}

/// Whether alias and key are of one account and Region, as they must be.
fn is_home(alias: &Arn<'_>, key: &Arn<'_>) -> bool {
    (alias.partition(), alias.region(), alias.account())
        == (key.partition(), key.region(), key.account())
}
