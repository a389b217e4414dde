//! What must hold of a policy that a template made.

use super::inputs::{Inputs, Kind};
use super::template::Template;
use super::written::Case;
use crate::engine::term::arn::Arn;

/// The cases of a template: each statement with each of its conditions.
pub(super) fn cases(template: Template, inputs: &Inputs) -> Vec<Case> {
    let mut cases = Cases { inputs, all: Vec::new() };
    cases.account();
    if template == Template::Default {
        return cases.all;
    }
    cases.administration(template);
    match template {
        Template::Default => {}
        Template::Console => {
            if !inputs.users.is_empty() {
                cases.used("users use the key", &[], None, ALLOWED);
                cases.attachment(&format!("ec2.{}.amazonaws.com", inputs.region), DENIED);
            }
        }
        Template::AdminAndUse | Template::Envelope => cases.bound(),
        Template::CrossAccount => {
            cases.bound();
            cases.partners();
        }
        Template::MultiRegion => {
            cases.bound();
            cases.regions();
        }
        Template::Service => {
            let service = inputs.services.first().map_or("", String::as_str);
            cases.used("users use the key through a service", &[], Some(service), ALLOWED);
            cases.used("users do not use the key directly", &[], None, KEY_POLICY);
            cases.attachment(service, KEY_POLICY);
        }
        Template::GrantsOnly => cases.lending(),
        Template::Signing => cases.signing(),
    }
    cases.all
}

/// A decision and its reason.
type Expected = (&'static str, Option<&'static str>);

const ALLOWED: Expected = ("allowed", Some("key_policy"));
const KEY_POLICY: Expected = ("implicitDeny", Some("key_policy"));
const DENIED: Expected = ("implicitDeny", None);

struct Cases<'i> {
    inputs: &'i Inputs,
    all: Vec<Case>,
}

impl Cases<'_> {
    fn add(&mut self, name: &str, arn: &str, action: &str, expected: Expected) -> &mut Case {
        let (principal, role_arn) = caller(arn);
        let case = Case {
            name: name.to_owned(),
            principal,
            role_arn,
            action: action.to_owned(),
            key: self.inputs.key_arn.clone(),
            decision: expected.0,
            reason: expected.1,
            ..Case::default()
        };
        self.all.push(case);
        let last = self.all.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "it was pushed a line above")]
        &mut self.all[last]
    }

    fn admin(&self) -> String {
        self.inputs.admins.first().cloned().unwrap_or_default()
    }

    fn user(&self) -> String {
        self.inputs.users.first().cloned().unwrap_or_default()
    }

    /// The first value of each name of the encryption context.
    fn context(&self) -> Vec<(String, String)> {
        let first = |(name, values): &(String, Vec<String>)| {
            (name.clone(), values.first().cloned().unwrap_or_default())
        };
        self.inputs.context.iter().map(first).collect()
    }

    fn account(&mut self) {
        let (partition, account) = (&self.inputs.partition, self.inputs.account);
        let root = format!("arn:{partition}:iam::{account}:root");
        let nobody = format!("arn:{partition}:iam::{account}:user/nobody-in-particular");
        self.add("the account reads the policy", &root, "kms:GetKeyPolicy", ALLOWED);
        let (action, parameters) = operation(self.inputs.kind);
        let case = self.add("who is not named does not use the key", &nobody, action, DENIED);
        case.parameters = parameters;
    }

    fn administration(&mut self, template: Template) {
        let admin = self.admin();
        self.add("administrators disable the key", &admin, "kms:DisableKey", ALLOWED);
        let context = self.context();
        let (action, parameters) = operation(self.inputs.kind);
        let case = self.add("administrators do not use the key", &admin, action, DENIED);
        (case.parameters, case.context) = (parameters, context);
        if template != Template::Console {
            self.grant("administrators do not lend the key", &admin, None, DENIED);
        }
        if !self.inputs.users.is_empty() {
            self.add("users do not administer the key", &self.user(), "kms:DisableKey", DENIED);
        }
    }

    /// Use by the first user.
    fn used(
        &mut self,
        name: &str,
        context: &[(String, String)],
        via: Option<&str>,
        expected: Expected,
    ) {
        let (action, parameters) = operation(self.inputs.kind);
        let case = self.add(name, &self.user(), action, expected);
        case.parameters = parameters;
        case.context = context.to_vec();
        case.via_service = via.map(str::to_owned);
    }

    /// Use in the encryption context, if one is named, and in others.
    fn bound(&mut self) {
        let context = self.context();
        if context.is_empty() {
            return self.used("users use the key", &[], None, ALLOWED);
        }
        self.used("users use the key in its encryption context", &context, None, ALLOWED);
        for (index, (name, _)) in context.iter().enumerate() {
            let mut other = context.clone();
            if let Some((_, value)) = other.get_mut(index) {
                "another-value".clone_into(value);
            }
            self.used(
                &format!("users do not use the key for another {}", plain(name)),
                &other,
                None,
                KEY_POLICY,
            );
        }
        self.add("users look at the key", &self.user(), "kms:DescribeKey", ALLOWED);
    }

    fn partners(&mut self) {
        let Some(partner) = self.inputs.partners.first().cloned() else { return };
        // The root user of the other account needs no identity policy; others do.
        let account = partner.ends_with(":root");
        let (name, expected) = if account {
            ("partners decrypt in the encryption context", ALLOWED)
        } else {
            (
                "partners decrypt with an identity policy of their own alone",
                ("implicitDeny", Some("identity_policy")),
            )
        };
        let context = self.context();
        self.add(name, &partner, "kms:Decrypt", expected).context = context.clone();
        for (index, (name, _)) in context.iter().enumerate() {
            let mut other = context.clone();
            if let Some((_, value)) = other.get_mut(index) {
                "another-value".clone_into(value);
            }
            let name = format!("partners do not decrypt for another {}", plain(name));
            self.add(&name, &partner, "kms:Decrypt", KEY_POLICY).context = other;
        }
    }

    fn regions(&mut self) {
        let admin = self.admin();
        let inside = self.inputs.replica_regions.first().cloned().unwrap_or_default();
        let outside = ["af-south-1", "eu-north-1", "sa-east-1"]
            .into_iter()
            .find(|region| {
                self.inputs.region != *region
                    && !self.inputs.replica_regions.iter().any(|one| one == region)
            })
            .unwrap_or("ap-southeast-7");
        for (what, action, parameter) in [
            ("make replicas", "kms:ReplicateKey", "replicaRegion"),
            ("move the primary", "kms:UpdatePrimaryRegion", "primaryRegion"),
        ] {
            let case = self.add(
                &format!("administrators {what} in the named Regions"),
                &admin,
                action,
                ALLOWED,
            );
            case.parameters = Some(format!("{{{parameter}: {inside}}}"));
            let case = self.add(
                &format!("administrators do not {what} in other Regions"),
                &admin,
                action,
                KEY_POLICY,
            );
            case.parameters = Some(format!("{{{parameter}: {outside}}}"));
        }
    }

    fn grant(&mut self, name: &str, who: &str, via: Option<&str>, expected: Expected) {
        let operation = operation(self.inputs.kind).0.trim_start_matches("kms:");
        let parameters = format!(
            "{{grant: {{granteePrincipal: {}, operations: [{operation}]}}}}",
            self.user_or(who)
        );
        let case = self.add(name, who, "kms:CreateGrant", expected);
        case.parameters = Some(parameters);
        case.via_service = via.map(str::to_owned);
    }

    /// The first user; whoever asks, where there is none.
    fn user_or(&self, other: &str) -> String {
        let user = self.inputs.users.first().map_or(other, String::as_str);
        serde_json::Value::from(user).to_string()
    }

    fn attachment(&mut self, service: &str, otherwise: Expected) {
        let user = self.user();
        self.grant("users lend the key to AWS resources", &user, Some(service), ALLOWED);
        self.grant("users do not lend the key otherwise", &user, None, otherwise);
    }

    fn lending(&mut self) {
        let user = self.user();
        self.used("users do not use the key without a grant", &[], None, DENIED);
        let grantee = self.user_or(&user);
        let constraint = "constraints: {encryptionContextSubset: {purpose: example}}";
        for (name, operations, constraint, expected) in [
            ("users lend decryption with a limit", "Decrypt, RetireGrant", constraint, ALLOWED),
            (
                "users do not lend decryption without a limit",
                "Decrypt",
                "constraints: {}",
                KEY_POLICY,
            ),
            ("users do not lend the right to lend", "Decrypt, CreateGrant", constraint, KEY_POLICY),
        ] {
            let case = self.add(name, &user, "kms:CreateGrant", expected);
            case.parameters = Some(format!(
                "{{grant: {{granteePrincipal: {grantee}, operations: [{operations}], {constraint}}}}}"
            ));
        }
        self.add("users see what they lent", &user, "kms:ListGrants", ALLOWED);
    }

    fn signing(&mut self) {
        let user = self.user();
        self.used("users sign", &[], None, ALLOWED);
        let case = self.add("users do not sign by other algorithms", &user, "kms:Sign", KEY_POLICY);
        case.parameters = Some("{signingAlgorithm: ECDSA_SHA_384}".to_owned());
        self.add("users read the public key", &user, "kms:GetPublicKey", ALLOWED);
    }
}

/// An action that stands for the use of a key, with its parameters.
fn operation(kind: Kind) -> (&'static str, Option<String>) {
    let (action, parameters) = match kind {
        Kind::Symmetric => ("kms:Decrypt", None),
        Kind::Hmac => ("kms:GenerateMac", Some("{macAlgorithm: HMAC_SHA_256}")),
        Kind::RsaEncryption => ("kms:Decrypt", Some("{encryptionAlgorithm: RSAES_OAEP_SHA_256}")),
        Kind::Signing => ("kms:Sign", Some("{signingAlgorithm: ECDSA_SHA_256}")),
        Kind::KeyAgreement => ("kms:DeriveSharedSecret", Some("{keyAgreementAlgorithm: ECDH}")),
    };
    (action, parameters.map(str::to_owned))
}

/// Who calls, for a user, role or account of a policy; and the role of a session.
fn caller(arn: &str) -> (String, Option<String>) {
    let role = Arn::parse(arn).filter(|parsed| parsed.resource().starts_with("role/"));
    let Some(role) = role else { return (arn.to_owned(), None) };
    let name = role.resource().rsplit('/').next().unwrap_or_default();
    let session =
        format!("arn:{}:sts::{}:assumed-role/{name}/case", role.partition(), role.account());
    (session, Some(arn.to_owned()))
}

/// A name without what YAML would take for something else.
fn plain(name: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '-' };
    name.chars().map(letter).collect()
}
