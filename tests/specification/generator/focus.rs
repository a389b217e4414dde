//! Quiet cases: everybody may do everything, but for one thing that decides.

use serde_json::{Value, json};

use super::conditions::condition;
use super::elements::{actions, not_principal, principal, resources};
use super::grants::grant;
use super::keys::metadata;
use super::organization;
use super::policies::Layer;
use super::random::Random;
use super::scene::{HOME, Kind, Scene, VPCE, account_of, root_of};
use super::{object, options_among};
use crate::law::catalog;
use crate::law::context::is_abac;

/// What the case is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Focus {
    Condition,
    Grants,
    Guardrails,
    Principals,
    Resources,
    State,
}

pub(super) fn case(random: &mut Random, scene: &mut Scene) -> Value {
    let focus = match scene.action.as_str() {
        "RetireGrant" => Focus::Grants,
        action => random.weighted(&[
            (34, Focus::Condition),
            (22, Focus::Principals),
            (if catalog::is_grantable(&json!(action)) { 25 } else { 1 }, Focus::Grants),
            (10, Focus::Guardrails),
            (8, Focus::Resources),
            (6, Focus::State),
        ]),
    };
    let mut quiet = Quiet::new(random, scene);
    match focus {
        Focus::Condition => quiet.test(random, scene),
        Focus::Grants => quiet.grant(random, scene),
        Focus::Guardrails => quiet.guard(random, scene),
        Focus::Principals => quiet.name(random, scene),
        Focus::Resources => quiet.cover(random, scene),
        Focus::State => {}
    }
    let overrides = quiet.overrides.take();
    let documents = quiet.documents(random, scene, focus == Focus::State);
    let mut case = object([
        ("documents", documents.into()),
        ("now", json!(scene.now)),
        ("request", scene.request.take()),
    ]);
    if let Some(overrides) = overrides {
        case["contextOverrides"] = overrides;
    }
    if random.chance(if focus == Focus::Grants { 60 } else { 40 }) {
        case["options"] = options_among(random, switches(focus));
    }
    case
}

/// The switches that have to do with it.
fn switches(focus: Focus) -> &'static [&'static str] {
    match focus {
        Focus::Condition => {
            &["multivalue_without_setop", "forany_ifexists_absent", "abac_keys_in_key_policy"]
        }
        Focus::Grants => &[
            "cross_account_grant",
            "grant_ec_key_case",
            "grants_limited_by_boundary",
            "grant_account_grantee",
            "profile",
        ],
        Focus::Guardrails => &["unknown_vpc_endpoint", "aws_star_matches_service"],
        Focus::Principals => &[
            "profile",
            "unknown_principal",
            "federated_by_name",
            "notprincipal_requires_account",
            "aws_star_matches_service",
            "ram_policy",
        ],
        Focus::Resources => &["unknown_principal"],
        Focus::State => &["auth_before_state"],
    }
}

/// The statements of every layer, and what else there is.
struct Quiet {
    key: Vec<Value>,
    identity: Vec<Value>,
    boundary: Option<Vec<Value>>,
    session: Option<Vec<Value>>,
    endpoint: Option<Vec<Value>>,
    ram: Option<Vec<Value>>,
    scp: Option<Vec<Value>>,
    rcp: Option<Vec<Value>>,
    organization: Option<Value>,
    grants: Vec<Value>,
    overrides: Option<Value>,
    is_described: bool,
}

fn allow_all() -> Value {
    json!({"Effect": "Allow", "Action": "*", "Resource": "*"})
}

fn with_principal(mut statement: Value, principal: Value) -> Value {
    statement["Principal"] = principal;
    statement
}

impl Quiet {
    fn new(random: &mut Random, scene: &Scene) -> Self {
        let accounts = [root_of(HOME), root_of(&scene.account)];
        let everyone = match scene.kind {
            Kind::Service => json!({"Service": scene.caller}),
            _ => random.pick(&[json!({"AWS": accounts}), json!({"AWS": accounts}), json!("*")]),
        };
        let session = match scene.kind {
            Kind::Federated => random.chance(85),
            Kind::Session => random.chance(10),
            _ => false,
        };
        Self {
            key: vec![with_principal(allow_all(), everyone)],
            identity: vec![allow_all()],
            boundary: random.chance(6).then(|| vec![allow_all()]),
            session: session.then(|| vec![allow_all()]),
            endpoint: None,
            ram: None,
            scp: None,
            rcp: None,
            organization: None,
            grants: Vec::new(),
            overrides: None,
            is_described: true,
        }
    }

    /// One statement whose condition decides, in one of the layers.
    fn test(&mut self, random: &mut Random, scene: &mut Scene) {
        let denies = random.chance(50);
        choose_theme(random, scene);
        let mut statement = allow_all();
        statement["Condition"] = condition(random, scene, denies);
        if random.chance(20) {
            self.overrides = Some(overridden(random, scene, &statement["Condition"]));
        }
        if random.chance(50) {
            statement["Action"] = json!("kms:*");
        }
        if denies {
            statement["Effect"] = json!("Deny");
        }
        let named = with_principal(statement.clone(), json!("*"));
        let mut layers: Vec<&mut Vec<Value>> = vec![&mut self.key];
        let is_abac = scene.facts.iter().all(|(key, _)| is_abac(key));
        let in_key = random.chance(if is_abac { 75 } else { 35 });
        if !in_key {
            layers = vec![&mut self.identity];
            if let Some(session) = &mut self.session {
                layers.push(session);
            }
            if random.chance(15) {
                layers.push(self.boundary.get_or_insert_with(|| vec![allow_all()]));
            }
            if random.chance(10) {
                layers.push(self.scp.get_or_insert_with(|| vec![allow_all()]));
            }
        }
        let last = layers.len() - 1;
        let layer = &mut layers[last];
        if !denies {
            layer.clear();
        }
        layer.push(if in_key { named } else { statement });
    }

    /// Grants, and perhaps nothing else.
    fn grant(&mut self, random: &mut Random, scene: &Scene) {
        self.key.clear();
        if random.chance(60) {
            self.identity.clear();
        }
        if random.chance(40) {
            let silent = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
            self.boundary = Some(vec![random.pick(&[allow_all(), silent])]);
        }
        for number in 1..=random.weighted(&[(70, 1), (30, 2)]) {
            let mut grant = grant(random, scene, 0, number);
            let asked = json!(scene.action);
            if catalog::is_grantable(&asked) && random.chance(80) {
                grant["Operations"] = json!([asked, "RetireGrant"]);
            }
            let grantees = [
                (50, scene.caller.clone()),
                (25, scene.entity.clone()),
                (25, root_of(&scene.account)),
            ];
            if scene.kind != Kind::Service && random.chance(75) {
                grant["GranteePrincipal"] = json!(random.weighted(&grantees));
                grant.as_object_mut().expect("a grant").remove("GranteeServicePrincipal");
            }
            self.grants.push(grant);
        }
    }

    /// Organization and endpoint.
    fn guard(&mut self, random: &mut Random, scene: &mut Scene) {
        let allow = || json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"});
        let silent = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
        let deny = json!({"Effect": "Deny", "Action": actions(random, scene), "Resource": "*"});
        match random.below(4) {
            0 => self.organization = Some(organization::document(random, scene)),
            1 => self.scp = Some(random.pick(&[vec![silent], vec![allow(), deny], vec![]])),
            2 => {
                let bare = deny["Action"] == "*";
                let mut deny = with_principal(deny, json!("*"));
                if bare {
                    deny["Action"] = json!("kms:*");
                }
                self.rcp = Some(vec![deny]);
            }
            _ => {
                scene.request["context"]["aws:SourceVpce"] =
                    json!(random.pick(&[VPCE, VPCE, "vpce-unknown"]));
                let named = principal(random, scene);
                let everyone = random.pick(&[json!("*"), json!({"AWS": "*"}), named]);
                let statements = [vec![allow()], vec![silent], vec![allow(), deny]];
                let named = |statement| with_principal(statement, everyone.clone());
                let endpoint = random.pick(&statements).into_iter().map(named).collect();
                self.endpoint = random.chance(80).then_some(endpoint);
            }
        }
    }

    /// Who is named in the key policy, and who the caller is.
    fn name(&mut self, random: &mut Random, scene: &mut Scene) {
        self.is_described = random.chance(60);
        if scene.kind == Kind::Federated && random.chance(30) {
            // The session has another name than the user behind it.
            scene.entity = format!("arn:aws:iam::{}:user/ops/Broker", scene.account);
            scene.request["principal"]["issuerArn"] = json!(scene.entity);
        }
        let star = [json!("*"), json!({"AWS": "*"})];
        let named = match scene.kind == Kind::Service && random.chance(40) {
            true => random.pick(&star),
            false => principal(random, scene),
        };
        let mut allow = with_principal(allow_all(), named);
        if random.chance(15) {
            allow["Action"] = actions(random, scene);
        }
        self.key = vec![allow];
        if random.chance(40) {
            let mut deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
            match random.chance(65) {
                true => deny["NotPrincipal"] = not_principal(random, scene),
                false => deny["Principal"] = principal(random, scene),
            }
            let everyone = match scene.kind {
                Kind::Service => json!({"Service": scene.caller}),
                _ => json!("*"),
            };
            self.key = vec![with_principal(allow_all(), everyone), deny];
        } else if random.chance(10) {
            self.ram = Some(std::mem::take(&mut self.key));
        }
        if random.chance(50) {
            self.identity.clear();
        }
        let silent = json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"});
        if random.chance(25) {
            self.boundary = Some(vec![random.pick(&[allow_all(), silent.clone()])]);
        }
        let has_session = [Kind::Session, Kind::Federated].contains(&scene.kind);
        if has_session && random.chance(30) {
            self.session = Some(vec![random.pick(&[allow_all(), silent])]);
        }
        if scene.kind == Kind::Root && random.chance(40) {
            scene.request["context"]["aws:AssumedRoot"] = json!(random.pick(&["true", "false"]));
        }
    }

    /// Which resources a statement covers.
    fn cover(&mut self, random: &mut Random, scene: &Scene) {
        let element = random.weighted(&[(80, "Resource"), (20, "NotResource")]);
        let effect = random.pick(&["Allow", "Deny"]);
        let covered = resources(random, scene, Layer::Identity);
        let statement = json!({"Effect": effect, "Action": "*", element: covered});
        if effect == "Allow" {
            self.identity.clear();
        }
        self.identity.push(statement);
    }

    fn documents(self, random: &mut Random, scene: &mut Scene, any_state: bool) -> Vec<Value> {
        let document =
            |statements: &[Value]| json!({"Version": "2012-10-17", "Statement": statements});
        let mut documents = Vec::new();
        if self.is_described && scene.kind != Kind::Root && scene.kind != Kind::Service {
            documents.push(identity(
                random,
                scene,
                &document(&self.identity),
                self.boundary.as_deref(),
            ));
        } else if random.chance(60) {
            // The account is described, the caller is not.
            let arn = format!("arn:aws:iam::{}:user/Somebody", scene.account);
            documents.push(json!({"UserDetailList": [{"Arn": arn, "UserName": "Somebody"}]}));
        }
        for (index, key) in scene.keys.clone().iter().enumerate() {
            let mut of_key = object([
                ("KeyMetadata", json!({"Arn": key})),
                ("Policy", document(&self.key)),
                ("Aliases", json!([scene.alias_of(key)])),
            ]);
            let is_property =
                |(key, _): &(String, String)| PROPERTIES.contains(&&*key.to_lowercase());
            let of_properties = scene.facts.iter().all(is_property);
            if any_state || random.chance(if of_properties { 80 } else { 10 }) {
                of_key["KeyMetadata"] = metadata(random, scene, key);
            }
            if of_properties && random.chance(60) {
                of_key["KeyMetadata"]["KeySpec"] = json!("RSA_2048");
                of_key["KeyMetadata"]["KeyUsage"] = json!("SIGN_VERIFY");
                of_key["KeyMetadata"]["MultiRegion"] = json!(random.chance(50));
            }
            if any_state && random.chance(60) {
                let state =
                    random.pick(&["Disabled", "PendingDeletion", "PendingImport", "Unavailable"]);
                of_key["KeyMetadata"]["KeyState"] = json!(state);
            }
            if random.chance(50) {
                let value = random.pick(&["red", "red", "blue", ""]);
                of_key["Tags"] = json!([{"TagKey": "team", "TagValue": value}]);
            }
            if let Some(ram) = &self.ram {
                of_key["RamPolicy"] = document(ram);
            }
            if !self.grants.is_empty() {
                of_key["Grants"] = numbered(&self.grants, index);
            }
            if scene.action.ends_with("Key") && random.chance(30) {
                of_key["KeyLastUsage"] = super::keys::last_usage(random);
            }
            documents.push(of_key);
        }
        if let Some(endpoint) = &self.endpoint {
            let text = document(endpoint).to_string();
            documents
                .push(json!({"VpcEndpoints": [{"VpcEndpointId": VPCE, "PolicyDocument": text}]}));
        }
        documents.extend(self.organization);
        documents.extend(organized(random, scene, self.scp.as_deref(), self.rcp.as_deref()));
        if let Some(session) = &self.session {
            scene.request["principal"]["sessionPolicies"] = json!([document(session).to_string()]);
        }
        documents
    }
}

/// Keys that say what a KMS key is.
const PROPERTIES: [&str; 6] = [
    "kms:keyspec",
    "kms:keyusage",
    "kms:keyorigin",
    "kms:multiregion",
    "kms:multiregionkeytype",
    "kms:customermasterkeyspec",
];

/// Condition keys that are tested together; a name stands for all that start with it.
const THEMES: [&[&str]; 9] = [
    &["aws:principaltag/", "aws:requesttag/"],
    &["aws:resourcetag/", "kms:resourcealiases"],
    &["aws:calledvia", "kms:grantoperations", "kms:encryptioncontextkeys", "aws:tagkeys"],
    &["kms:encryptioncontext"],
    &["aws:currenttime", "aws:epochtime", "kms:validto", "aws:multifactorauthage"],
    &["kms:viaservice", "aws:viaawsservice", "kms:grantisforawsresource"],
    &["aws:userid", "aws:username", "aws:principalarn", "aws:principaltag/", "aws:sourceidentity"],
    &["kms:trailingdayswithoutkeyusage", "kms:schedulekeydeletion", "kms:rotationperiod"],
    &PROPERTIES,
];

/// Few condition keys, so that those are tested in every way.
fn choose_theme(random: &mut Random, scene: &mut Scene) {
    let theme = random.pick(&THEMES);
    let is_of_theme = |key: &str| {
        let key = key.to_lowercase();
        theme.iter().any(|name| key.starts_with(name))
    };
    let mut facts = scene.facts.clone();
    facts.retain(|(key, _)| is_of_theme(key));
    if facts.is_empty() || random.chance(25) {
        return;
    }
    if is_of_theme("kms:MultiRegion") {
        facts.push(("kms:MultiRegion".to_owned(), "true".to_owned()));
        facts.push(("kms:KeyUsage".to_owned(), "SIGN_VERIFY".to_owned()));
    }
    if is_of_theme("aws:CalledVia") && random.chance(70) {
        let sets =
            [json!(["athena.amazonaws.com"]), json!(["athena.amazonaws.com", ""]), json!([""])];
        scene.request["multivaluedContext"]["aws:CalledVia"] =
            json!({"values": random.pick(&sets)});
    }
    if is_of_theme("aws:userid") && scene.kind != Kind::Service && random.chance(40) {
        scene.request["principal"]["userId"] = json!(scene.user_id(random));
    }
    scene.facts = facts;
}

/// The same grants on another key have other tokens.
fn numbered(grants: &[Value], key: usize) -> Value {
    let of_key = |grant: &Value| {
        let mut grant = grant.clone();
        let token = grant["GrantToken"].as_str().unwrap_or_default();
        grant["GrantToken"] = json!(token.replacen("token-0", &format!("token-{key}"), 1));
        grant
    };
    grants.iter().map(of_key).collect()
}

/// The caller as the set describes it.
fn identity(
    random: &mut Random,
    scene: &Scene,
    inline: &Value,
    boundary: Option<&[Value]>,
) -> Value {
    let kind = if scene.kind == Kind::Session { "Role" } else { "User" };
    let name = scene.entity.rsplit('/').next().unwrap_or_default();
    let mut identity = json!({"Arn": scene.entity, format!("{kind}Name"): name});
    identity[format!("{kind}PolicyList")] =
        json!([{"PolicyName": "inline", "PolicyDocument": inline}]);
    if random.chance(70) {
        let id = if kind == "Role" { "AROAAPP" } else { "AIDAALICE" };
        identity[format!("{kind}Id")] = json!(format!("{id}{}", scene.account));
    }
    if random.chance(40) {
        identity["Tags"] =
            json!([{"Key": "team", "Value": random.pick(&["red", "blue", "a", ""])}]);
    }
    let mut document = object([(&format!("{kind}DetailList"), json!([identity]))]);
    if let Some(boundary) = boundary {
        let arn = format!("arn:aws:iam::{}:policy/boundary", scene.account);
        let content = json!({"Version": "2012-10-17", "Statement": boundary});
        document["Policies"] = json!([{"Arn": arn, "PolicyVersionList":
            [{"IsDefaultVersion": true, "VersionId": "v1", "Document": content}]}]);
        document[format!("{kind}DetailList")][0]["PermissionsBoundary"] =
            json!({"PermissionsBoundaryArn": arn});
    }
    document
}

/// An organization that has these policies at one level.
fn organized(
    random: &mut Random,
    scene: &Scene,
    scp: Option<&[Value]>,
    rcp: Option<&[Value]>,
) -> Option<Value> {
    if scp.is_none() && rcp.is_none() {
        return None;
    }
    let content = |statements: &[Value]| json!({"Version": "2012-10-17", "Statement": statements});
    let mut root = json!({"Id": "r-ab12"});
    let mut account = json!({"Id": scene.account});
    let place = if random.chance(50) { &mut root } else { &mut account };
    if let Some(scp) = scp {
        let policy = json!({"Name": "scp", "Id": "p-scp", "Content": content(scp)});
        place["ServiceControlPolicies"] = json!([policy]);
    }
    if let Some(rcp) = rcp {
        let full = with_principal(allow_all(), json!("*"));
        let full = json!({"Name": "RCPFullAWSAccess", "Content": content(&[full])});
        let policy = json!({"Name": "rcp", "Id": "p-rcp", "Content": content(rcp)});
        place["ResourceControlPolicies"] = json!([full, policy]);
    }
    let management = random.weighted(&[(70, "999900001111"), (30, &*scene.account)]);
    root["Accounts"] = json!([account]);
    if account_of(&scene.key) != scene.account {
        root["Accounts"] = json!([account, {"Id": account_of(&scene.key)}]);
    }
    Some(json!({"Organization":
        {"Id": "o-example123", "ManagementAccountId": management, "Root": root}}))
}

/// Another value for a key that the condition tests.
fn overridden(random: &mut Random, scene: &Scene, condition: &Value) -> Value {
    let tests = condition.as_object().into_iter().flatten().map(|(_, keys)| keys);
    let keys: Vec<String> =
        tests.filter_map(Value::as_object).flatten().map(|(key, _)| key.to_lowercase()).collect();
    let key = random.pick(&keys);
    let known = scene.facts.iter().find(|(name, _)| name.to_lowercase() == key);
    let value = known.map_or("red", |(_, value)| value);
    let shapes = [
        json!(null),
        json!(value),
        json!("other"),
        json!([value]),
        json!([value, "other"]),
        json!(""),
    ];
    json!({ key: random.pick(&shapes) })
}
