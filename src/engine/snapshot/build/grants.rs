//! Grants, as `list-grants` prints them.

use super::policies::Interned;
use super::reading::{Reading, Said};
use super::recall::Recall;
use super::revision::{Holds, PolicyDigests};
use super::usage::instant;
use crate::engine::bundle::Options;
use crate::engine::grant::{ContextConstraint, Grant};
use crate::engine::json::{Json, Source, Span, read};
use crate::engine::kms::action::{Action, ActionSet};
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::problem::{Problem, Problems};
use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;
use crate::engine::term::key_id::KeyId;
use crate::engine::term::partition::{Partition, partition_of};
use crate::engine::term::principal::is_service;

/// Pairs in a constraint, and characters of a value.
///
/// Source: AWS KMS API Reference, `GrantConstraints`.
const MOST_PAIRS: usize = 8;
const LONGEST_VALUE: usize = 384;

/// The constraints that exist.
const CONSTRAINTS: [&str; 3] = ["EncryptionContextEquals", "EncryptionContextSubset", "SourceArn"];

/// A grant, before it is known of which key it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// With the key's id in place of its ARN where nothing more is said of the key.
    pub(super) grant: Grant,
    /// The partition of the issuing account, while that of the key is not known.
    pub(super) issued_in: Option<Partition>,
}

/// Reads one grant, as `list-grants` prints an entry; the key is named by its ARN.
///
/// # Errors
///
/// What is wrong with it.
pub fn grant(name: &str, text: &str) -> Result<Grant, Problems> {
    let source = Source::new(name.into(), text);
    let options = Options::default();
    let mut said = Said::default();
    let json = read(&source, &options.limits, &mut said.problems);
    let interned = Interned::default();
    let grant = json.filter(|json| json.as_object().is_some()).and_then(|json| {
        let (said, digests) = (&mut said, PolicyDigests::default());
        let (source, options, interned) = (&source, &options, &interned);
        let recall = &mut Recall::default();
        let mut reading = Reading { source, options, interned, recall, said, digests };
        let key_arn = reading.key_of_grant(&json, None)?;
        let id = reading.required_text(&json, "GrantId")?;
        reading.grant(&json, &key_arn, id).map(|written| written.grant)
    });
    match (Problems::refusing(said.problems), grant) {
        (None, Some(grant)) => Ok(Grant { origin: None, ..grant }),
        (Some(problems), _) => Err(problems),
        (None, None) => Err(Problems::from(Problem::error("bad-grant", "the text is no grant"))),
    }
}

impl Reading<'_> {
    /// A list of grants; `key` is the one beside which it stands.
    ///
    /// Source: AWS KMS API Reference, `GrantListEntry`, `CreateGrant`.
    pub(super) fn grants(&mut self, items: &[Json<'_>], key: Option<&Arn<'_>>) {
        for item in items {
            if !self.is_object(item, "Grants") {
                continue;
            }
            let key_arn = self.key_of_grant(item, key);
            let id = self.required_text(item, "GrantId");
            let errors = self.said.problems.len();
            let (Some(key_arn), Some(id)) = (key_arn, id) else {
                self.grant(item, "", "");
                continue;
            };
            let grant = self.grant(item, &key_arn, id).filter(|_| self.no_error_since(errors));
            let thing = format!("{key_arn} {id}");
            let digest =
                self.fingerprint("grant", &thing, item, |name| name != "KeyId", Holds::Data);
            self.add(|said| &mut said.grants, ("grant", id), &*thing, (digest, item.span), grant);
        }
    }

    /// `KeyId` is the ARN of the key, or its id; beside the key it may be left out.
    fn key_of_grant(&mut self, item: &Json<'_>, key: Option<&Arn<'_>>) -> Option<String> {
        let Some(key_id) = self.text(item, "KeyId") else {
            if key.is_none() {
                self.required(item, "KeyId");
            }
            return key.map(|key| key.text.to_owned());
        };
        if let Ok(KeyId::Arn(arn)) = KeyId::parse(key_id) {
            return Some(arn.text.to_owned());
        }
        match (KeyId::parse(key_id), key) {
            (Ok(KeyId::Id(id)), Some(key)) if key.resource().strip_prefix("key/") == Some(id) => {
                Some(key.text.to_owned())
            }
            // Which key of the set that is can be told when all of them are read.
            (Ok(KeyId::Id(id)), None) => Some(id.to_owned()),
            _ => {
                let message = format!("`KeyId` is `{key_id}`, expected the ARN of the key");
                self.error("bad-key-arn", message, "`list-grants` prints the key ARN", item.span);
                None
            }
        }
    }

    fn grant(&mut self, item: &Json<'_>, key_arn: &str, id: &str) -> Option<Written> {
        let grantee = self.grant_principal(item, "GranteePrincipal", "GranteeServicePrincipal");
        let named = ["GranteePrincipal", "GranteeServicePrincipal"];
        if named.iter().all(|name| self.member(item, name).is_none()) {
            let help = "a grant has `GranteePrincipal` or `GranteeServicePrincipal`";
            self.error("bad-grantee", "the grant has no grantee", help, item.span);
        }
        let retiring = self.grant_principal(item, "RetiringPrincipal", "RetiringServicePrincipal");
        let operations = self.grant_operations(item);
        let (context, source_arn) = self.grant_constraints(item);
        if source_arn.is_none() && self.member(item, "GranteeServicePrincipal").is_some() {
            let help = "CreateGrant demands `Constraints.SourceArn` with `GranteeServicePrincipal`";
            self.warning(
                "grant-without-source-arn",
                "a grant to a service without `SourceArn`",
                help,
                item.span,
            );
        }
        let (issuing_account, issued_in) = self.issuing_account(item, key_arn).unzip();
        let name = self.text(item, "Name");
        let token = self.text(item, "GrantToken");
        let states = ["active", "pending"];
        let state = self
            .known(item, "State", &states, |name| states.iter().position(|state| *state == name));
        let place = self.source.place(item.span);
        let grant = Grant {
            id: id.into(),
            key_arn: key_arn.into(),
            grantee: grantee?,
            retiring,
            operations: operations?,
            context,
            source_arn: source_arn.map(Into::into),
            issuing_account,
            name: name.map(Into::into),
            token: token.map(Into::into),
            pending: state == Some(1),
            origin: Some((place.document, place.line)),
            created: item.member("CreationDate").and_then(instant),
        };
        let issued_in = issued_in.flatten().filter(|_| partition_of(key_arn).is_none());
        Some(Written { grant, issued_in })
    }

    /// The principal in one of two members. Grants that services made long ago name a service where
    /// a principal should stand.
    fn grant_principal(
        &mut self,
        item: &Json<'_>,
        aws: &str,
        service: &str,
    ) -> Option<PrincipalPattern> {
        let code = if aws == "GranteePrincipal" { "bad-grantee" } else { "bad-retiring-principal" };
        let (aws_text, service_text) = (self.text(item, aws), self.text(item, service));
        let read = match (aws_text, service_text) {
            (None, None) => return None,
            (Some(_), Some(_)) => {
                let message = format!("`{aws}` and `{service}` exclude each other");
                self.error(code, message, "keep one of them", item.span);
                return None;
            }
            (Some("*"), None) => Err("a user, role, session, account or service: not everyone"),
            (Some(text), None) if !is_service(text) => PrincipalPattern::aws(text),
            (Some(text), None) | (None, Some(text)) => PrincipalPattern::service(text),
        };
        let text = aws_text.or(service_text).unwrap_or_default();
        let span =
            item.member(aws).or_else(|| item.member(service)).map_or(item.span, |json| json.span);
        let help = "name a user, role, role session, federated user, account or service, as in KMS";
        let message = |expected| format!("`{text}` cannot stand here: expected {expected}");
        read.map_err(|expected| self.error(code, message(expected), help, span)).ok()
    }

    fn grant_operations(&mut self, item: &Json<'_>) -> Option<ActionSet> {
        let json = self.required(item, "Operations")?;
        let names = self.list(item, "Operations");
        let mut operations = ActionSet::EMPTY;
        for operation in names {
            let Some(name) = self.as_text(operation, "Operations") else { continue };
            match Action::from_bare(name).filter(|action| action.grantable()) {
                Some(action) => operations.insert(action),
                None => {
                    let message = format!("a grant cannot permit `{name}`");
                    let help = "operations are spelt as in `CreateGrant`, such as `Decrypt`";
                    self.error("bad-grant-operation", message, help, operation.span);
                }
            }
        }
        if json.as_list().is_some_and(<[_]>::is_empty) {
            self.error(
                "bad-grant-operation",
                "the grant permits no operation",
                "remove the grant",
                json.span,
            );
        }
        (!operations.is_empty()).then_some(operations)
    }

    fn grant_constraints<'j>(
        &mut self,
        item: &'j Json<'_>,
    ) -> (ContextConstraint, Option<&'j str>) {
        let none = (ContextConstraint::Unlimited, None);
        let Some(json) = self.member(item, "Constraints") else { return none };
        if !self.is_object(json, "Constraints") {
            return none;
        }
        for member in json.as_object().unwrap_or_default() {
            let known = |known: &&str| member.name.eq_ignore_ascii_case(known);
            if !CONSTRAINTS.iter().any(known) {
                let message = format!("unknown constraint `{}`", member.name);
                let help = format!(
                    "a constraint that is not understood cannot be kept; known: {}",
                    CONSTRAINTS.join(", ")
                );
                self.error("unknown-constraint", message, &help, member.name_span);
            }
        }
        let equals = self.pairs(json, "EncryptionContextEquals");
        let subset = self.pairs(json, "EncryptionContextSubset");
        let source_arn = self.text(json, "SourceArn");
        if source_arn == Some("") {
            self.error(
                "wrong-type",
                "`SourceArn` is empty",
                "leave it out, or give an ARN",
                json.span,
            );
        }
        let context = match (equals, subset) {
            (None, None) => ContextConstraint::Unlimited,
            (Some(pairs), None) => ContextConstraint::Equals(pairs),
            (None, Some(pairs)) => ContextConstraint::Subset(pairs),
            (Some(pairs), Some(_)) => {
                let message =
                    "`EncryptionContextEquals` and `EncryptionContextSubset` exclude each other";
                self.error("contradicting-members", message, "keep one of them", json.span);
                ContextConstraint::Equals(pairs)
            }
        };
        (context, source_arn)
    }

    /// The pairs of a constraint, sorted; an empty map is absence.
    #[expect(clippy::type_complexity, reason = "it is what a constraint holds")]
    fn pairs(&mut self, constraints: &Json<'_>, name: &str) -> Option<Box<[(Box<str>, Box<str>)]>> {
        let json = self.member(constraints, name)?;
        if !self.is_object(json, name) {
            return None;
        }
        let mut pairs: Vec<(Box<str>, Box<str>)> = Vec::new();
        for member in json.as_object().unwrap_or_default() {
            if let Some(value) = self.as_text(&member.value, &member.name) {
                if value.chars().count() > LONGEST_VALUE {
                    self.constraint_quota(
                        format!("a value of more than {LONGEST_VALUE} characters"),
                        member.value.span,
                    );
                }
                pairs.push(((*member.name).into(), value.into()));
            }
        }
        if pairs.len() > MOST_PAIRS {
            self.constraint_quota(
                format!("{} pairs, more than {MOST_PAIRS}", pairs.len()),
                json.span,
            );
        }
        pairs.sort_unstable();
        (!pairs.is_empty()).then(|| pairs.into())
    }

    fn constraint_quota(&mut self, message: String, span: Span) {
        self.warning("constraint-too-large", message, "KMS does not create such grants", span);
    }

    /// The account from which the grant was created, by its root ARN, of the key's partition, or its
    /// id; and the partition that the ARN names.
    fn issuing_account(
        &mut self,
        item: &Json<'_>,
        key_arn: &str,
    ) -> Option<(AccountId, Option<Partition>)> {
        let text = self.text(item, "IssuingAccount")?;
        let of_key = |named: &Partition| {
            partition_of(key_arn).is_none_or(|partition| partition == named.as_str())
        };
        if let Ok(PrincipalPattern::Account(account, partition)) = PrincipalPattern::aws(text)
            && partition.as_ref().is_none_or(of_key)
        {
            return Some((account, partition));
        }
        let (message, help) = no_issuer(text);
        self.warning("unknown-issuing-account", message, help, item.span);
        None
    }
}

/// What is said of an issuing account that cannot be one.
pub(super) fn no_issuer(text: &str) -> (String, &'static str) {
    (
        format!("`IssuingAccount` is `{text}`, which is no account of the key's partition"),
        "the grant counts as issued from an unknown account",
    )
}
