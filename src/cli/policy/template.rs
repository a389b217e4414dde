//! The templates: which statements they have.
//!
//! Source: AWS KMS Developer Guide, "Default key policy", "Creating a key policy", "Best practices
//! for IAM policies", "Using policy conditions with AWS KMS".

use clap::ValueEnum;

use super::inputs::{Inputs, Kind, Part};
use super::written::{Condition, Statement};

/// A key policy to start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Template {
    /// The policy that KMS gives a key when none is passed
    Default,
    /// The policy that the KMS console makes
    Console,
    /// Administration and use in different hands
    AdminAndUse,
    /// Data keys bound to an encryption context
    Envelope,
    /// Use through AWS services alone
    Service,
    /// Use from another account, bound to an encryption context
    CrossAccount,
    /// No use but by grants, which are lent with a limit
    GrantsOnly,
    /// A multi-Region key whose replicas stay in some Regions
    MultiRegion,
    /// Signatures by one algorithm
    Signing,
}

impl Template {
    /// As the flag has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Console => "console",
            Self::AdminAndUse => "admin-and-use",
            Self::Envelope => "envelope",
            Self::Service => "service",
            Self::CrossAccount => "cross-account",
            Self::GrantsOnly => "grants-only",
            Self::MultiRegion => "multi-region",
            Self::Signing => "signing",
        }
    }

    /// What it is for.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Default => {
                "what KMS gives a key when no policy is passed: the identity policies of the account decide alone"
            }
            Self::Console => {
                "what the KMS console makes, by kind of key: the default, administrators, users, and grants for AWS \
                 resources; administrators can give themselves the use of the key"
            }
            Self::AdminAndUse => {
                "administrators who neither use the key nor lend it, users who do not administer it, and the account \
                 as the last resort that can mend the policy"
            }
            Self::Envelope => {
                "like admin-and-use, for envelope encryption: users make and open data keys, in the named encryption \
                 context alone"
            }
            Self::Service => {
                "like admin-and-use, but users reach the key through the named AWS services alone \
                 (kms:ViaService), and those create grants for their resources alone (kms:GrantIsForAWSResource)"
            }
            Self::CrossAccount => {
                "like envelope, and partners in other accounts decrypt in the same encryption context; they also \
                 need identity policies of their own"
            }
            Self::GrantsOnly => {
                "nobody uses the key but by a grant: users lend decryption and data keys, never without a limit on \
                 the encryption context, and look after what they lent"
            }
            Self::MultiRegion => {
                "like admin-and-use, for a multi-Region key: administrators make replicas, and move the primary, in \
                 the named Regions alone"
            }
            Self::Signing => {
                "like admin-and-use, for signatures: users sign and verify with ECDSA_SHA_256 alone"
            }
        }
    }

    /// What must be given beside the account.
    pub(super) fn needs(self) -> &'static [Part] {
        match self {
            Self::Default => &[],
            Self::Console => &[Part::Admin],
            Self::AdminAndUse | Self::GrantsOnly | Self::Signing => &[Part::Admin, Part::User],
            Self::Envelope => &[Part::Admin, Part::User, Part::Context],
            Self::Service => &[Part::Admin, Part::User, Part::Service],
            Self::CrossAccount => &[Part::Admin, Part::User, Part::Partner, Part::Context],
            Self::MultiRegion => &[Part::Admin, Part::User, Part::ReplicaRegion],
        }
    }

    /// What may be given beside that.
    pub(super) fn takes(self) -> &'static [Part] {
        match self {
            Self::Console => &[Part::User, Part::Partner, Part::Kind],
            Self::AdminAndUse => &[Part::Context, Part::Kind],
            Self::MultiRegion => &[Part::Context],
            _ => &[],
        }
    }

    /// What lint would find of it and is meant as it is: codes, each with its reason.
    pub(super) fn explained(self, inputs: &Inputs) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        if self == Self::Console {
            found.push(("create-grant-by-wildcard", "as the KMS console writes it"));
            if inputs.partners.iter().any(|partner| partner.ends_with(":root")) {
                found.push(("open-to-other-account", "the other account says who of it"));
            }
        }
        let unbound = matches!(self, Self::Console | Self::AdminAndUse | Self::MultiRegion)
            && inputs.context.is_empty();
        if unbound && inputs.kind == Kind::Symmetric && !inputs.users.is_empty() {
            let why = match self {
                Self::Console => "as the KMS console writes it",
                _ => "no encryption context was named when the policy was made",
            };
            found.push(("decrypt-unbound", why));
        }
        found
    }

    /// The kind of key, where none is named.
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Signing => Kind::Signing,
            _ => Kind::Symmetric,
        }
    }

    /// The statements.
    pub(super) fn statements(self, inputs: &Inputs) -> Vec<Statement> {
        let mut statements = match self {
            Self::Default => return vec![delegation(inputs)],
            Self::Console => return console(inputs),
            _ => vec![repair(inputs), administration(self, inputs)],
        };
        let users = &inputs.users;
        match self {
            Self::Default | Self::Console => {}
            Self::AdminAndUse => statements.extend(bound_use(inputs, use_of(inputs.kind))),
            Self::Envelope | Self::CrossAccount => {
                statements.extend(bound_use(inputs, &["kms:GenerateDataKey*", "kms:Decrypt"]));
            }
            Self::MultiRegion => {
                statements.extend(bound_use(inputs, use_of(inputs.kind)));
                let within =
                    |key| vec![Condition::texts("StringEquals", key, &inputs.replica_regions)];
                statements.push(
                    Statement::allow(
                        "Replicas in these Regions alone",
                        &inputs.admins,
                        &["kms:ReplicateKey"],
                    )
                    .under(within("kms:ReplicaRegion")),
                );
                let regions =
                    [std::slice::from_ref(&inputs.region), &inputs.replica_regions].concat();
                statements.push(
                    Statement::allow(
                        "The primary in these Regions alone",
                        &inputs.admins,
                        &["kms:UpdatePrimaryRegion"],
                    )
                    .under(vec![Condition::texts(
                        "StringEquals",
                        "kms:PrimaryRegion",
                        &regions,
                    )]),
                );
            }
            Self::Service => {
                let through =
                    || vec![Condition::texts("StringEquals", "kms:ViaService", &inputs.services)];
                statements.push(
                    Statement::allow(
                        "Use through these services alone",
                        users,
                        use_of(inputs.kind),
                    )
                    .under(through()),
                );
                statements.push(attachment(users));
            }
            Self::GrantsOnly => statements.extend(lending(users)),
            Self::Signing => {
                statements.push(
                    Statement::allow(
                        "Signatures by this algorithm alone",
                        users,
                        &["kms:Sign", "kms:Verify"],
                    )
                    .under(vec![Condition::text(
                        "StringEquals",
                        "kms:SigningAlgorithm",
                        "ECDSA_SHA_256",
                    )]),
                );
                statements.push(Statement::allow(
                    "The public key",
                    users,
                    &["kms:DescribeKey", "kms:GetPublicKey"],
                ));
            }
        }
        if self == Self::CrossAccount {
            statements.push(
                Statement::allow(
                    "Partners decrypt in this encryption context alone",
                    &inputs.partners,
                    &["kms:Decrypt"],
                )
                .under(bound(inputs)),
            );
        }
        statements
    }
}

fn root(inputs: &Inputs) -> String {
    format!("arn:{}:iam::{}:root", inputs.partition, inputs.account)
}

/// The default key policy: all that it says.
fn delegation(inputs: &Inputs) -> Statement {
    Statement::allow("Enable IAM User Permissions", &[root(inputs)], &["kms:*"])
}

/// The account can mend the policy: nobody is locked out.
fn repair(inputs: &Inputs) -> Statement {
    let actions = ["kms:DescribeKey", "kms:GetKeyPolicy", "kms:PutKeyPolicy"];
    Statement::allow(
        "The account can always read and repair this policy",
        &[root(inputs)],
        &actions,
    )
}

/// Administration without use, and without CreateGrant, which would lend it.
fn administration(template: Template, inputs: &Inputs) -> Statement {
    let mut actions = vec![
        "kms:CreateAlias",
        "kms:DeleteAlias",
        "kms:UpdateAlias",
        "kms:DescribeKey",
        "kms:GetKeyPolicy",
        "kms:PutKeyPolicy",
        "kms:ListKeyPolicies",
        "kms:ListGrants",
        "kms:RevokeGrant",
        "kms:ListResourceTags",
        "kms:TagResource",
        "kms:UntagResource",
        "kms:UpdateKeyDescription",
        "kms:EnableKey",
        "kms:DisableKey",
        "kms:ScheduleKeyDeletion",
        "kms:CancelKeyDeletion",
    ];
    if template != Template::Signing && inputs.kind == Kind::Symmetric {
        actions.extend([
            "kms:EnableKeyRotation",
            "kms:DisableKeyRotation",
            "kms:GetKeyRotationStatus",
            "kms:ListKeyRotations",
            "kms:RotateKeyOnDemand",
        ]);
    }
    Statement::allow("Administration without use", &inputs.admins, &actions)
}

/// Actions of use, by kind of key; DescribeKey aside, those that the console gives to users.
fn use_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Symmetric => &[
            "kms:Encrypt",
            "kms:Decrypt",
            "kms:ReEncrypt*",
            "kms:GenerateDataKey*",
            "kms:DescribeKey",
        ],
        Kind::Hmac => &["kms:DescribeKey", "kms:GenerateMac", "kms:VerifyMac"],
        Kind::RsaEncryption => {
            &["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:DescribeKey", "kms:GetPublicKey"]
        }
        Kind::Signing => &["kms:DescribeKey", "kms:GetPublicKey", "kms:Sign", "kms:Verify"],
        Kind::KeyAgreement => &["kms:DescribeKey", "kms:GetPublicKey", "kms:DeriveSharedSecret"],
    }
}

fn bound(inputs: &Inputs) -> Vec<Condition> {
    let one = |(name, values): &(String, Vec<String>)| {
        Condition::texts("StringEquals", &format!("kms:EncryptionContext:{name}"), values)
    };
    inputs.context.iter().map(one).collect()
}

/// Use in the encryption context, if one is named. DescribeKey has none.
fn bound_use(inputs: &Inputs, actions: &[&str]) -> Vec<Statement> {
    if inputs.context.is_empty() {
        return vec![Statement::allow("Use without administration", &inputs.users, actions)];
    }
    let actions: Vec<&str> =
        actions.iter().copied().filter(|action| *action != "kms:DescribeKey").collect();
    vec![
        Statement::allow("Use in this encryption context alone", &inputs.users, &actions)
            .under(bound(inputs)),
        Statement::allow("Users may look at the key", &inputs.users, &["kms:DescribeKey"]),
    ]
}

/// Grants for AWS resources, as the console gives them to users.
fn attachment(users: &[String]) -> Statement {
    let actions = ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"];
    Statement::allow("Allow attachment of persistent resources", users, &actions)
        .under(vec![Condition::text("Bool", "kms:GrantIsForAWSResource", "true")])
}

/// Lending, never without a limit, and looking after what was lent.
fn lending(users: &[String]) -> Vec<Statement> {
    let operations =
        ["Decrypt", "DescribeKey", "GenerateDataKey", "RetireGrant"].map(str::to_owned);
    vec![
        Statement::allow("Users lend, never without a limit", users, &["kms:CreateGrant"]).under(
            vec![
                Condition::text(
                    "StringEquals",
                    "kms:GrantConstraintType",
                    "EncryptionContextSubset",
                ),
                Condition::texts("ForAllValues:StringEquals", "kms:GrantOperations", &operations),
                Condition::text("Null", "kms:GrantOperations", "false"),
            ],
        ),
        Statement::allow(
            "Users look after what they lent",
            users,
            &["kms:DescribeKey", "kms:ListGrants", "kms:RevokeGrant"],
        ),
    ]
}

/// The policy of the console.
///
/// Source: AWS KMS Developer Guide, "Default key policy" (created with the console).
fn console(inputs: &Inputs) -> Vec<Statement> {
    let mut statements = vec![delegation(inputs)];
    let mut administration = vec![
        "kms:Create*",
        "kms:Describe*",
        "kms:Enable*",
        "kms:List*",
        "kms:Put*",
        "kms:Update*",
        "kms:Revoke*",
        "kms:Disable*",
        "kms:Get*",
        "kms:Delete*",
        "kms:TagResource",
        "kms:UntagResource",
        "kms:ScheduleKeyDeletion",
        "kms:CancelKeyDeletion",
    ];
    if inputs.kind == Kind::Symmetric {
        administration.push("kms:RotateKeyOnDemand");
    }
    statements.push(Statement::allow(
        "Allow access for Key Administrators",
        &inputs.admins,
        &administration,
    ));
    let users = [inputs.users.as_slice(), inputs.partners.as_slice()].concat();
    if !users.is_empty() {
        statements.push(Statement::allow("Allow use of the key", &users, use_of(inputs.kind)));
        statements.push(attachment(&users));
    }
    statements
}
