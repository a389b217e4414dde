//! The request of a case, read and checked.
//!
//! Source: `proto/keyward/v1/authorization.proto`; AWS KMS API Reference, `CreateGrant`.

use serde_json::{Map, Value};

use super::context::{Entry, is_condition_key, is_multivalued};
use super::policy::{self, Kind, Policy};
use super::principals::{is_aws_principal, is_service};
use super::world::{World, list};
use super::{Refusal, catalog, forms};

type Read<T> = Result<T, Refusal>;
pub(crate) type Pairs = Vec<(String, String)>;

pub(crate) struct Request {
    pub(crate) principal: Value,
    pub(crate) session_policies: Option<Vec<Policy>>,
    pub(crate) tags: Pairs,
    pub(crate) action: String,
    pub(crate) key_id: String,
    pub(crate) encryption_context: Pairs,
    pub(crate) grant_tokens: Vec<String>,
    /// Condition keys that the caller asserts.
    pub(crate) asserted: Vec<(String, Entry)>,
    /// `contextOverrides`; none is absence.
    pub(crate) overrides: Vec<(String, Option<Entry>)>,
    pub(crate) parameters: Value,
    region: Option<String>,
    pub(crate) via_service: Option<String>,
    pub(crate) dry_run: bool,
    pub(crate) now: String,
}

const MEMBERS: [&str; 14] = [
    "requestId",
    "principal",
    "action",
    "keyId",
    "encryptionContext",
    "grantTokens",
    "context",
    "multivaluedContext",
    "parameters",
    "region",
    "viaService",
    "consistency",
    "detail",
    "dryRun",
];

const PRINCIPAL_MEMBERS: [&str; 7] =
    ["arn", "roleArn", "issuerArn", "tags", "sessionPolicies", "userId", "sourceIdentity"];

impl Request {
    pub(crate) fn read(case: &Value, world: &World) -> Read<Self> {
        let request = &case["request"];
        let members = request.as_object().ok_or(Refusal::Request)?;
        let principal = &request["principal"];
        let principal_members = principal.as_object().ok_or(Refusal::Request)?;
        only(members, &MEMBERS)?;
        only(principal_members, &PRINCIPAL_MEMBERS)?;
        forms::check(request)?;
        let mut session_policies = Vec::new();
        for text in list(&principal["sessionPolicies"]) {
            let policy = policy::read(text, Kind::Identity).map_err(|_| Refusal::Request)?;
            session_policies.push(policy);
        }
        let action = request["action"].as_str().ok_or(Refusal::Request)?;
        if !(catalog::is_action(action) || catalog::is_operation(action)) {
            return Err(Refusal::Request);
        }
        let grant_tokens: Vec<String> = list(&request["grantTokens"])
            .iter()
            .map(|token| token.as_str().map(str::to_owned).ok_or(Refusal::Request))
            .collect::<Read<_>>()?;
        if grant_tokens.len() > 10 {
            return Err(Refusal::Request);
        }
        let parameters = &request["parameters"];
        pairs(&parameters["destinationEncryptionContext"])?;
        let creates_a_grant = action.strip_prefix("kms:").unwrap_or(action) == "CreateGrant";
        match &parameters["grant"] {
            Value::Null if !creates_a_grant => {}
            grant if creates_a_grant => check_grant(grant)?,
            _ => return Err(Refusal::Request),
        }
        let retires_a_grant = action.strip_prefix("kms:").unwrap_or(action) == "RetireGrant";
        if retires_a_grant && grant_tokens.is_empty() && !parameters["grantId"].is_string() {
            return Err(Refusal::Request);
        }
        let only_region = || match &world.keys[..] {
            [first, others @ ..] if others.iter().all(|k| k.region == first.region) => {
                Some(first.region.clone())
            }
            _ => None,
        };
        Ok(Self {
            principal: principal.clone(),
            session_policies: (!session_policies.is_empty()).then_some(session_policies),
            tags: pairs(&principal["tags"])?,
            action: action.to_owned(),
            key_id: request["keyId"].as_str().unwrap_or("").to_owned(),
            encryption_context: pairs(&request["encryptionContext"])?,
            grant_tokens,
            asserted: asserted(request)?,
            overrides: overrides(&case["contextOverrides"])?,
            parameters: parameters.clone(),
            region: request["region"].as_str().map(str::to_owned).or_else(only_region),
            via_service: request["viaService"].as_str().map(str::to_owned),
            dry_run: request["dryRun"] == Value::Bool(true),
            now: case["now"].as_str().unwrap_or("2026-01-01T00:00:00Z").to_owned(),
        })
    }

    /// The Region of the called endpoint.
    pub(crate) fn region(&self) -> Read<String> {
        self.region.clone().ok_or(Refusal::Request)
    }

    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        match &self.parameters[name] {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            _ => None,
        }
    }

    pub(crate) fn asserted(&self, key: &str) -> Option<&Entry> {
        let same = |(name, _): &&(String, Entry)| name.eq_ignore_ascii_case(key);
        self.asserted.iter().find(same).map(|(_, entry)| entry)
    }
}

/// The grant that is asked for: to one grantee, what a grant can permit, with one constraint on the
/// encryption context at most; a service is bound to a source ARN.
fn check_grant(grant: &Value) -> Read<()> {
    let principal = &grant["granteePrincipal"];
    let service = &grant["granteeServicePrincipal"];
    let constraints = &grant["constraints"];
    let one_grantee = match (principal.as_str(), service.as_str()) {
        (Some(principal), None) => is_aws_principal(principal),
        (None, Some(service)) => is_service(service) && constraints["sourceArn"].is_string(),
        _ => false,
    };
    let operations = list(&grant["operations"]);
    let permitted = !operations.is_empty() && operations.iter().all(catalog::is_grantable);
    let equals = pairs(&constraints["encryptionContextEquals"])?;
    let subset = pairs(&constraints["encryptionContextSubset"])?;
    let one_constraint = equals.is_empty() || subset.is_empty();
    if one_grantee && permitted && one_constraint { Ok(()) } else { Err(Refusal::Request) }
}

fn only(members: &Map<String, Value>, known: &[&str]) -> Read<()> {
    let all_known = members.keys().all(|member| known.contains(&member.as_str()));
    if all_known { Ok(()) } else { Err(Refusal::Request) }
}

/// A map of texts.
pub(crate) fn pairs(value: &Value) -> Read<Pairs> {
    let pair = |(key, value): (&String, &Value)| {
        let value = value.as_str().ok_or(Refusal::Request)?;
        Ok((key.clone(), value.to_owned()))
    };
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Object(members) => members.iter().map(pair).collect(),
        _ => Err(Refusal::Request),
    }
}

/// Keys that are derived and that no caller may assert.
fn is_derived(key: &str) -> bool {
    const DERIVED: [&str; 15] = [
        "aws:principalarn",
        "aws:principalaccount",
        "aws:principaltype",
        "aws:principalisawsservice",
        "aws:principalservicename",
        "aws:principalservicenameslist",
        "aws:userid",
        "aws:username",
        "aws:currenttime",
        "aws:epochtime",
        "aws:requestedregion",
        "aws:resourceaccount",
        "aws:tagkeys",
        "aws:viaawsservice",
        "aws:sourceidentity",
    ];
    const PREFIXES: [&str; 4] =
        ["kms:", "aws:principaltag/", "aws:resourcetag/", "aws:requesttag/"];
    DERIVED.contains(&key) || PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// Both context maps.
fn asserted(request: &Value) -> Read<Vec<(String, Entry)>> {
    let mut entries: Vec<(String, Entry)> = Vec::new();
    for (key, value) in pairs(&request["context"])? {
        if is_multivalued(&key) {
            return Err(Refusal::Request);
        }
        entries.push((key, Entry::One(value)));
    }
    for (key, values) in request["multivaluedContext"].as_object().into_iter().flatten() {
        if key.to_lowercase().starts_with("aws:") && !is_multivalued(key) {
            return Err(Refusal::Request);
        }
        only(values.as_object().ok_or(Refusal::Request)?, &["values"])?;
        entries.push((key.clone(), Entry::Many(texts(&values["values"])?)));
    }
    let mut names: Vec<String> = entries.iter().map(|(key, _)| key.to_lowercase()).collect();
    names.sort();
    let lawful = names.iter().all(|key| is_condition_key(key) && !is_derived(key));
    let twice = names.windows(2).any(|two| two[0] == two[1]);
    if !lawful || twice {
        return Err(Refusal::Request);
    }
    // An empty list is absence.
    entries.retain(|(_, entry)| *entry != Entry::Many(Vec::new()));
    Ok(entries)
}

fn texts(value: &Value) -> Read<Vec<String>> {
    let text = |v: &Value| v.as_str().map(str::to_owned).ok_or(Refusal::Request);
    list(value).iter().map(text).collect()
}

/// `contextOverrides`: a text, a list of texts, or null for absent.
fn overrides(value: &Value) -> Read<Vec<(String, Option<Entry>)>> {
    let one = |(key, value): (&String, &Value)| {
        let entry = match value {
            Value::Null => None,
            Value::String(text) => Some(Entry::One(text.clone())),
            Value::Array(values) if values.is_empty() => None,
            Value::Array(_) => Some(Entry::Many(texts(value)?)),
            _ => return Err(Refusal::Request),
        };
        if is_condition_key(key) { Ok((key.clone(), entry)) } else { Err(Refusal::Request) }
    };
    let found: Vec<_> = value.as_object().into_iter().flatten().map(one).collect::<Read<_>>()?;
    let mut names: Vec<String> = found.iter().map(|(key, _)| key.to_lowercase()).collect();
    names.sort();
    let twice = names.windows(2).any(|two| two[0] == two[1]);
    if twice { Err(Refusal::Request) } else { Ok(found) }
}
