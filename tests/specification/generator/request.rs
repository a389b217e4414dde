//! What is asked, and what comes with the question.

use serde_json::{Value, json};

use super::facts::encryption_context;
use super::parameters::{map, parameters};
use super::random::Random;
use super::scene::{
    AWAY, HOME, Kind, ORGANIZATION, OTHER_REGION, REGION, SERVICE, SOURCE_ARN, Scene, VPCE,
    account_of,
};
use crate::law::{arn, catalog};

/// Operations that are asked more often.
const FAVOURITES: [&str; 14] = [
    "Decrypt",
    "Decrypt",
    "Encrypt",
    "GenerateDataKey",
    "CreateGrant",
    "RetireGrant",
    "ReEncrypt",
    "DescribeKey",
    "Sign",
    "GenerateMac",
    "CreateAlias",
    "UpdateAlias",
    "ReplicateKey",
    "ScheduleKeyDeletion",
];

impl Scene {
    pub(crate) fn ask(&mut self, random: &mut Random) {
        let operation = match random.chance(55) {
            true => random.pick(&FAVOURITES).to_owned(),
            false => random.pick(&catalog::operations()),
        };
        let halves = ["ReEncryptFrom", "ReEncryptTo"];
        let re_encrypt = operation == "ReEncrypt";
        self.action = if re_encrypt { random.pick(&halves).to_owned() } else { operation.clone() };
        let bare = random.chance(40);
        let asked = if bare { operation.clone() } else { format!("kms:{}", self.action) };
        self.request = json!({"principal": {"arn": self.caller}, "action": asked});
        self.request["region"] = json!(random.weighted(&[(97, REGION), (3, OTHER_REGION)]));
        let of_alias = operation.ends_with("Alias");
        if of_alias && !bare && random.chance(40) {
            let name = random.pick(&[self.alias_of(&self.key), "alias/new", "alias/aws/s3"]);
            self.request["keyId"] = json!(format!("arn:aws:kms:{REGION}:{}:{name}", self.account));
        } else if !(catalog::is_on_no_key(&operation) || of_alias && bare) {
            self.request["keyId"] = json!(self.key_id(random));
        }
        self.ask_as_principal(random);
        if catalog::has_encryption_context(&self.action) && random.chance(70) {
            self.encryption_context = encryption_context(random);
            self.request["encryptionContext"] = map(&self.encryption_context);
        }
        if random.chance(15) {
            self.request["viaService"] = json!("s3.us-west-2.amazonaws.com");
        }
        if random.chance(20) {
            let tokens = ["token-0-1", "token-0-2", "token-1-1", "unknown"];
            self.request["grantTokens"] = json!([random.pick(&tokens)]);
        }
        if random.chance(3) {
            self.request["dryRun"] = json!(true);
        }
        self.request["context"] = self.asserted(random);
        self.request["multivaluedContext"] = self.asserted_sets(random);
        self.request["parameters"] = parameters(self, &operation, random);
    }

    fn ask_as_principal(&mut self, random: &mut Random) {
        let principal = &mut self.request["principal"];
        let has_session = [Kind::Session, Kind::Federated].contains(&self.kind);
        if self.kind == Kind::Session && random.chance(70) {
            principal["roleArn"] = json!(self.entity);
        }
        if self.kind == Kind::Federated && random.chance(40) {
            principal["issuerArn"] = json!(self.entity);
        }
        if has_session && random.chance(20) {
            principal["tags"] =
                json!({random.pick(&["team", "Team"]): random.pick(&["red", "blue", "*"])});
        }
        if has_session && random.chance(5) {
            principal["tags"] = json!({"team": "red", "Team": random.pick(&["red", "blue"])});
        }
        if self.kind == Kind::Session && random.chance(8) {
            principal["sourceIdentity"] = json!("alice@example.com");
        }
        if random.chance(5) {
            self.request["principal"]["userId"] = json!(self.user_id(random));
        }
    }

    /// What `aws:userid` may be, mostly such that nothing contradicts it.
    pub(super) fn user_id(&self, random: &mut Random) -> String {
        let (account, name) = (&self.account, arn::last_name(&self.caller));
        let own = match self.kind {
            Kind::Session => format!("AROAAPP{account}:s1"),
            Kind::User => format!("AIDA{}{account}", name.to_uppercase()),
            Kind::Federated => format!("{account}:{name}"),
            Kind::Root => account.clone(),
            Kind::Service => "AIDAOTHER".to_owned(),
        };
        let others = ["AIDAALICE111122223333", "AIDAOTHER", "AROAOTHER:s1", "AROAOTHER:s2", "AROA"];
        if random.chance(80) { own } else { random.pick(&others).to_owned() }
    }

    /// One of the four forms of a key identifier.
    fn key_id(&self, random: &mut Random) -> String {
        let key = &self.key;
        let own = account_of(key) == self.account && self.kind != Kind::Service;
        let alias = self.alias_of(key);
        let aliased = catalog::takes_alias(&self.action);
        match random.below(10) {
            0 if aliased => format!("arn:aws:kms:{REGION}:{}:{alias}", account_of(key)),
            1 | 2 if aliased && own => alias.to_owned(),
            3 if own => arn::after(key, "key/").unwrap_or("").to_owned(),
            4 if random.chance(15) => {
                format!("arn:aws:kms:{REGION}:{}:key/none", random.pick(&[HOME, AWAY]))
            }
            5 if aliased && own && random.chance(15) => "alias/none".to_owned(),
            _ => key.clone(),
        }
    }

    fn asserted(&self, random: &mut Random) -> Value {
        let mut context = json!({});
        if random.chance(40) {
            let addresses =
                ["192.0.2.7", "198.51.100.1", "2001:db8::1", "::ffff:192.0.2.7", "here"];
            context["aws:SourceIp"] = json!(random.pick(&addresses));
        }
        if random.chance(12) {
            let spelling = random.pick(&["aws:SourceVpce", "AWS:sourcevpce"]);
            context[spelling] = json!(random.pick(&[VPCE, VPCE, VPCE, "vpce-unknown"]));
        }
        if random.chance(20) && self.kind != Kind::User {
            context["aws:MultiFactorAuthPresent"] = json!(random.pick(&["true", "false"]));
        }
        if self.kind == Kind::Service || random.chance(8) {
            context["aws:SourceArn"] = json!(random.pick(&[SOURCE_ARN, SOURCE_ARN, "not an arn"]));
        }
        if random.chance(10) {
            context["aws:UserAgent"] = json!(random.pick(&["", "a*b", "tool/1.0", "größe"]));
        }
        if random.chance(10) {
            let ages = ["300", "3600", "soon", "-1", "300.50", "1e3", "+5"];
            context["aws:MultiFactorAuthAge"] = json!(random.pick(&ages));
        }
        if random.chance(5) {
            let instants = ["2025-12-31T22:00:00Z", "1767225600", "2026", "yesterday"];
            context["aws:TokenIssueTime"] = json!(random.pick(&instants));
        }
        if self.kind == Kind::Root && random.chance(25) {
            context["aws:AssumedRoot"] = json!(random.pick(&["true", "false"]));
        }
        if random.chance(2) {
            let key = random.pick(&["aws:PrincipalOrgID", "aws:ResourceOrgID"]);
            context[key] = json!(random.pick(&[ORGANIZATION, "o-other"]));
        }
        context
    }

    fn asserted_sets(&self, random: &mut Random) -> Value {
        let mut sets = json!({});
        if random.chance(8) {
            let services = [
                vec!["athena.amazonaws.com"],
                vec!["athena.amazonaws.com", SERVICE, ""],
                vec![],
                vec![""],
            ];
            sets["aws:CalledVia"] = json!({"values": random.pick(&services)});
        }
        if random.chance(1) {
            let key = random.pick(&["aws:PrincipalOrgPaths", "aws:ResourceOrgPaths"]);
            sets[key] = json!({"values": [random.pick(&["o-example123/r-ab12/", "o-other/r-1/"])]});
        }
        sets
    }
}
