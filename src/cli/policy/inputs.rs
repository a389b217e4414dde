//! What a template is filled with, checked by the parsers of the engine.

use clap::ValueEnum;

use super::template::Template;
use crate::engine::policy::principal::PrincipalPattern;
use crate::engine::term::account::AccountId;
use crate::engine::term::arn::Arn;
use crate::engine::term::key_id::{KeyId, is_region};
use crate::engine::term::principal::is_service;

/// The key of cases, where none is named.
const KEY_ID: &str = "1234abcd-12ab-34cd-56ef-1234567890ab";

/// What a template may be filled with.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// The account of the key
    #[arg(long, value_name = "ID")]
    account: Option<String>,

    /// Who administers the key: user or role; repeatable
    #[arg(long, value_name = "ARN")]
    admin: Vec<String>,

    /// Who uses the key: user or role; repeatable
    #[arg(long, value_name = "ARN")]
    user: Vec<String>,

    /// Who uses the key from another account: account, user or role; repeatable
    #[arg(long, value_name = "ARN")]
    partner: Vec<String>,

    /// Pair of the encryption context that binds the use; several values of a name are alternatives
    #[arg(long, value_name = "NAME=VALUE")]
    context: Vec<String>,

    /// AWS service through which the key is used, such as `s3` or `s3.us-west-2.amazonaws.com`; repeatable
    #[arg(long, value_name = "NAME")]
    service: Vec<String>,

    /// Region that may hold a replica; repeatable
    #[arg(long, value_name = "REGION")]
    replica_region: Vec<String>,

    /// What the key is for
    #[arg(long, value_enum)]
    kind: Option<Kind>,

    /// Region of the key (default: that of --key-arn, else us-east-1)
    #[arg(long)]
    region: Option<String>,

    /// Write a document that describes this key, in place of the policy alone
    #[arg(long, value_name = "ARN")]
    key_arn: Option<String>,
}

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// Encryption with a symmetric key
    Symmetric,
    /// Message authentication codes
    Hmac,
    /// Encryption with an RSA key
    RsaEncryption,
    /// Signatures
    Signing,
    /// Shared secrets
    KeyAgreement,
}

impl Kind {
    /// `KeySpec` and `KeyUsage` of such a key.
    pub(super) fn metadata(self) -> (&'static str, &'static str) {
        match self {
            Self::Symmetric => ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"),
            Self::Hmac => ("HMAC_256", "GENERATE_VERIFY_MAC"),
            Self::RsaEncryption => ("RSA_4096", "ENCRYPT_DECRYPT"),
            Self::Signing => ("ECC_NIST_P256", "SIGN_VERIFY"),
            Self::KeyAgreement => ("ECC_NIST_P256", "KEY_AGREEMENT"),
        }
    }
}

/// A part that a template needs or takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Admin,
    User,
    Partner,
    Context,
    Service,
    ReplicaRegion,
    Kind,
}

impl Part {
    /// Its flag.
    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Admin => "--admin",
            Self::User => "--user",
            Self::Partner => "--partner",
            Self::Context => "--context",
            Self::Service => "--service",
            Self::ReplicaRegion => "--replica-region",
            Self::Kind => "--kind",
        }
    }
}

/// What a template is filled with.
#[derive(Debug)]
pub(super) struct Inputs {
    /// The partition of the key: `aws`, `aws-cn` and so on.
    pub(super) partition: String,
    /// The account of the key.
    pub(super) account: AccountId,
    /// The Region of the key.
    pub(super) region: String,
    /// ARN of the key, for cases.
    pub(super) key_arn: String,
    /// Whether a whole document is wanted.
    pub(super) whole: bool,
    /// Administrators, by ARN.
    pub(super) admins: Vec<String>,
    /// Users, by ARN.
    pub(super) users: Vec<String>,
    /// Users in other accounts, by ARN.
    pub(super) partners: Vec<String>,
    /// Names and values of the encryption context.
    pub(super) context: Vec<(String, Vec<String>)>,
    /// Values of `kms:ViaService`.
    pub(super) services: Vec<String>,
    /// Regions of replicas.
    pub(super) replica_regions: Vec<String>,
    /// What the key is for.
    pub(super) kind: Kind,
}

impl Inputs {
    /// Checks what was given.
    ///
    /// # Errors
    ///
    /// The flag that is missing, too many or wrong, and what was expected.
    pub(super) fn new(template: Template, flags: &Flags) -> Result<Self, String> {
        let account =
            flags.account.as_deref().ok_or("--account is missing: the account of the key")?;
        let account: AccountId = account.parse().map_err(|error| format!("--account: {error}"))?;
        let key = flags.key_arn.as_deref().map(|text| key(text, account)).transpose()?;
        let region = region(flags.region.as_deref(), key.as_ref())?;
        let own = |flag: &'static str, texts: &[String]| -> Result<Vec<String>, String> {
            texts.iter().map(|text| own(flag, text, account)).collect()
        };
        let (admins, users) = (own("--admin", &flags.admin)?, own("--user", &flags.user)?);
        let partners: Vec<String> =
            flags.partner.iter().map(|text| partner(text, account)).collect::<Result<_, _>>()?;
        let partition = key
            .as_ref()
            .map(|key| key.partition())
            .or_else(|| {
                admins
                    .iter()
                    .chain(&users)
                    .find_map(|arn| Arn::parse(arn))
                    .map(|arn| arn.partition())
            })
            .unwrap_or("aws")
            .to_owned();
        let services = flags.service.iter().map(|text| service(text, &region));
        let inputs = Self {
            key_arn: key.as_ref().map_or_else(
                || format!("arn:{partition}:kms:{region}:{account}:key/{KEY_ID}"),
                |key| key.text.to_owned(),
            ),
            whole: key.is_some(),
            services: services.collect::<Result<_, _>>()?,
            replica_regions: regions(&flags.replica_region, &region)?,
            context: context(&flags.context)?,
            kind: flags.kind.unwrap_or(template.kind()),
            partition,
            account,
            region,
            admins,
            users,
            partners,
        };
        for (part, given) in [
            (Part::Admin, !inputs.admins.is_empty()),
            (Part::User, !inputs.users.is_empty()),
            (Part::Partner, !inputs.partners.is_empty()),
            (Part::Context, !inputs.context.is_empty()),
            (Part::Service, !inputs.services.is_empty()),
            (Part::ReplicaRegion, !inputs.replica_regions.is_empty()),
            (Part::Kind, flags.kind.is_some()),
        ] {
            let name = template.name();
            if !given && template.needs().contains(&part) {
                return Err(format!("{} is missing: the template `{name}` needs it", part.flag()));
            }
            if given && !template.needs().contains(&part) && !template.takes().contains(&part) {
                return Err(format!("{}: the template `{name}` has no use for it", part.flag()));
            }
        }
        if !inputs.context.is_empty() && inputs.kind != Kind::Symmetric {
            return Err("--context: only a symmetric key has an encryption context".to_owned());
        }
        Ok(inputs)
    }
}

fn key(text: &str, account: AccountId) -> Result<Arn<'_>, String> {
    let found = KeyId::parse(text).map_err(|error| format!("--key-arn: {error}"))?;
    let KeyId::Arn(arn) = found else {
        return Err(format!("--key-arn: `{text}` is not the ARN of a key"));
    };
    match arn.account_id() {
        Some(of) if of == account => Ok(arn),
        _ => Err(format!("--key-arn: `{text}` is of the account {}, not {account}", arn.account())),
    }
}

fn region(told: Option<&str>, key: Option<&Arn<'_>>) -> Result<String, String> {
    match (told, key) {
        (Some(told), _) if !is_region(told) => {
            Err(format!("--region: `{told}` is no Region: expected a name such as `us-west-2`"))
        }
        (Some(told), Some(key)) if told != key.region() => {
            Err(format!("--region: `{told}` is not the Region of `{}`", key.text))
        }
        (Some(told), _) => Ok(told.to_owned()),
        (None, Some(key)) => Ok(key.region().to_owned()),
        (None, None) => Ok("us-east-1".to_owned()),
    }
}

fn principal(flag: &str, text: &str) -> Result<(PrincipalPattern, String), String> {
    let pattern = PrincipalPattern::aws(text)
        .map_err(|expected| format!("{flag}: `{text}` is no principal: expected {expected}"))?;
    let arn = match &pattern {
        PrincipalPattern::Account(account, None) => format!("arn:aws:iam::{account}:root"),
        named => named.text(),
    };
    Ok((pattern, arn))
}

/// A user or role of the account.
fn own(flag: &str, text: &str, account: AccountId) -> Result<String, String> {
    let (pattern, arn) = principal(flag, text)?;
    if !matches!(pattern, PrincipalPattern::User(_) | PrincipalPattern::Role(_)) {
        return Err(format!(
            "{flag}: `{text}`: expected the ARN of a user or role, by its whole name"
        ));
    }
    match Arn::parse(&arn).and_then(|arn| arn.account_id()) {
        Some(of) if of == account => Ok(arn),
        _ => Err(format!(
            "{flag}: `{text}` is not of the account {account}: others are named with --partner"
        )),
    }
}

/// An account, user or role of another account.
fn partner(text: &str, account: AccountId) -> Result<String, String> {
    let (pattern, arn) = principal("--partner", text)?;
    let named = matches!(
        pattern,
        PrincipalPattern::Account(..) | PrincipalPattern::User(_) | PrincipalPattern::Role(_)
    );
    if !named {
        return Err(format!(
            "--partner: `{text}`: expected an account, or the ARN of a user or role"
        ));
    }
    match Arn::parse(&arn).and_then(|arn| arn.account_id()) {
        Some(of) if of != account => Ok(arn),
        _ => Err(format!("--partner: `{text}` is of the key's own account: name it with --user")),
    }
}

/// `s3`, or `s3.us-west-2.amazonaws.com`.
fn service(text: &str, region: &str) -> Result<String, String> {
    let whole =
        if text.contains('.') { text.to_owned() } else { format!("{text}.{region}.amazonaws.com") };
    let regional = whole.split('.').nth(1).is_some_and(is_region);
    if is_service(&whole) && regional && whole.ends_with(".amazonaws.com") {
        Ok(whole)
    } else {
        Err(format!(
            "--service: `{text}` is no service: expected `s3`, or a value of kms:ViaService such as `s3.{region}.amazonaws.com`"
        ))
    }
}

fn regions(texts: &[String], own: &str) -> Result<Vec<String>, String> {
    for text in texts {
        if !is_region(text) {
            return Err(format!(
                "--replica-region: `{text}` is no Region: expected a name such as `eu-west-1`"
            ));
        }
        if text == own {
            return Err(format!("--replica-region: `{text}` is the Region of the key itself"));
        }
    }
    Ok(texts.to_vec())
}

/// Pairs, the values of a name together.
fn context(texts: &[String]) -> Result<Vec<(String, Vec<String>)>, String> {
    let mut context: Vec<(String, Vec<String>)> = Vec::new();
    for text in texts {
        let pair =
            text.split_once('=').filter(|(name, value)| !name.is_empty() && !value.is_empty());
        let (name, value) = pair.ok_or(format!("--context: `{text}`: expected NAME=VALUE"))?;
        match context.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, values)) => values.push(value.to_owned()),
            None => context.push((name.to_owned(), vec![value.to_owned()])),
        }
    }
    Ok(context)
}
