//! What a case is about: who asks, and which keys there are.

use serde_json::{Value, json};

use super::random::Random;
use crate::law::arn;

/// The account that owns the first key.
pub(crate) const HOME: &str = "111122223333";
/// Another account.
pub(crate) const AWAY: &str = "444455556666";
pub(crate) const REGION: &str = "us-west-2";
pub(crate) const OTHER_REGION: &str = "us-east-1";
pub(crate) const VPCE: &str = "vpce-0a1b2c3d";
pub(crate) const SOURCE_ARN: &str = "arn:aws:dynamodb:us-west-2:111122223333:table/Orders";
pub(crate) const SERVICE: &str = "dynamodb.amazonaws.com";
pub(crate) const ORGANIZATION: &str = "o-example123";

/// The kinds of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    User,
    Session,
    Federated,
    Root,
    Service,
}

/// What the case is about.
pub(crate) struct Scene {
    pub(crate) kind: Kind,
    /// `principal.arn`
    pub(crate) caller: String,
    pub(crate) account: String,
    /// The user, or the role (with its path) behind the session.
    pub(crate) entity: String,
    pub(crate) role_path: &'static str,
    /// Without prefix; of ReEncrypt one half.
    pub(crate) action: String,
    /// The key that is asked about.
    pub(crate) key: String,
    pub(crate) other_key: String,
    /// The keys of the set: two, and perhaps a replica of the first.
    pub(crate) keys: Vec<String>,
    pub(crate) now: &'static str,
    pub(crate) encryption_context: Vec<(String, String)>,
    pub(crate) request: Value,
    /// Condition keys and what they (probably) hold.
    pub(crate) facts: Vec<(String, String)>,
}

pub(crate) fn account_of(arn: &str) -> String {
    arn::account(arn).unwrap_or(HOME).to_owned()
}

/// The account principal of an account.
pub(crate) fn root_of(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

impl Scene {
    pub(crate) fn new(random: &mut Random) -> Self {
        let ids = ["1111aaaa-11aa-11aa-11aa-1111aaaa1111", "mrk-1111aaaa11aa11aa11aa1111aaaa1111"];
        let id = random.weighted(&[(75, ids[0]), (25, ids[1])]);
        let second = random.pick(&[HOME, HOME, AWAY]);
        let arn = |region: &str, account: &str, id: &str| {
            format!("arn:aws:kms:{region}:{account}:key/{id}")
        };
        let mut keys = vec![
            arn(REGION, HOME, id),
            arn(REGION, second, "2222bbbb-22bb-22bb-22bb-2222bbbb2222"),
        ];
        if id == ids[1] && random.chance(60) {
            keys.push(arn(OTHER_REGION, HOME, id));
        }
        let (asked, other) = random.weighted(&[(80, (0, 1)), (20, (1, 0))]);
        let role_path = random.pick(&["", "team/", "", "team/", "aws-service-role/"]);
        let (kind, account) = random.weighted(&[
            (26, (Kind::User, HOME)),
            (14, (Kind::User, AWAY)),
            (26, (Kind::Session, HOME)),
            (8, (Kind::Session, AWAY)),
            (12, (Kind::Federated, HOME)),
            (3, (Kind::Federated, AWAY)),
            (5, (Kind::Root, HOME)),
            (3, (Kind::Root, AWAY)),
            (6, (Kind::Service, HOME)),
        ]);
        let name = random.pick(&["Alice", "Bob"]);
        let entity = match kind {
            Kind::Session => format!("arn:aws:iam::{account}:role/{role_path}App"),
            _ => format!("arn:aws:iam::{account}:user/{name}"),
        };
        let caller = match kind {
            Kind::User => entity.clone(),
            Kind::Session => format!("arn:aws:sts::{account}:assumed-role/App/s1"),
            Kind::Federated => format!("arn:aws:sts::{account}:federated-user/{name}"),
            Kind::Root => root_of(account),
            Kind::Service => SERVICE.to_owned(),
        };
        let mut scene = Self {
            kind,
            caller,
            account: account.to_owned(),
            entity,
            role_path,
            action: String::new(),
            key: keys[asked].clone(),
            other_key: keys[other].clone(),
            keys,
            now: random.weighted(&[
                (80, "2026-01-01T00:00:00Z"),
                (10, "2025-12-31T23:59:59Z"),
                (10, "2026-06-30T12:34:56Z"),
            ]),
            encryption_context: Vec::new(),
            request: json!({}),
            facts: Vec::new(),
        };
        scene.ask(random);
        scene.note_facts(random);
        scene
    }

    /// The alias name of one of the keys.
    pub(crate) fn alias_of(&self, key: &str) -> &'static str {
        if arn::after(&self.keys[0], "") == arn::after(key, "") {
            "alias/orders"
        } else {
            "alias/team/billing"
        }
    }

    pub(crate) fn came_through_endpoint(&self) -> bool {
        let context = &self.request["context"];
        ["aws:SourceVpce", "AWS:sourcevpce"].iter().any(|key| !context[key].is_null())
    }
}
