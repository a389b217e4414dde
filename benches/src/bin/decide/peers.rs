//! Peers: equivalent policies in other engines, asked from texts too.

use std::collections::HashMap;
use std::str::FromStr as _;

use cedar_policy::{Authorizer, Context, Decision, Entities, EntityId, EntityUid, PolicySet, RestrictedExpression};
use iam_rs::{Arn, ContextValue, IAMPolicy, IAMRequest, PolicyEvaluator, PrincipalId};
use serde_json::{Value, json};

use keyward_benches::world::{KEY, Question, SESSION, managed_tenant};

/// cedar-policy with one policy set.
pub struct Cedar {
    policies: PolicySet,
    authorizer: Authorizer,
    entities: Entities,
}

impl Cedar {
    /// Compiles policies.
    pub fn new(text: &str) -> Self {
        let entities = json!([
            {"uid": {"type": "Role", "id": "App"}, "attrs": {}, "parents": []},
            {"uid": {"type": "Session", "id": SESSION}, "attrs": {}, "parents": [{"type": "Role", "id": "App"}]},
        ]);
        Self {
            policies: PolicySet::from_str(text).expect("Cedar policies"),
            authorizer: Authorizer::new(),
            entities: Entities::from_json_value(entities, None).expect("entities"),
        }
    }

    /// Whether it allows.
    pub fn ask(&self, question: Question<'_>) -> bool {
        let uid = |kind: &str, id: &str| {
            EntityUid::from_type_name_and_id(kind.parse().expect("a type"), EntityId::new(id))
        };
        let text = |value: &str| RestrictedExpression::new_string(value.to_owned());
        let pairs = [("app", "orders"), ("purpose", "pii"), ("tenant", question.tenant)];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), text(value)));
        let context = Context::from_pairs([
            ("secure".to_owned(), RestrictedExpression::new_bool(true)),
            ("mfa".to_owned(), RestrictedExpression::new_bool(false)),
            ("org".to_owned(), text("o-example1")),
            ("sourceIp".to_owned(), text("192.0.2.7")),
            ("sourceVpce".to_owned(), text("vpce-0abc")),
            ("encryptionContext".to_owned(), RestrictedExpression::new_record(pairs).expect("a record")),
        ])
        .expect("a context");
        let (session, action, key) = (uid("Session", SESSION), uid("Action", "Decrypt"), uid("Key", question.key));
        let request = cedar_policy::Request::new(session, action, key, context, None).expect("a request");
        self.authorizer.is_authorized(&request, &self.policies, &self.entities).decision() == Decision::Allow
    }
}

/// The ten statements in Cedar's language.
pub fn ten_cedar_policies() -> String {
    let permit = |role: &str, tenant: &str| {
        format!(
            "permit(principal in Role::\"{role}\", action in [Action::\"Decrypt\", Action::\"Encrypt\", \
             Action::\"GenerateDataKey\"], resource == Key::\"{KEY}\") \
             when {{ context.encryptionContext has tenant && context.encryptionContext.tenant == \"{tenant}\" }};\n"
        )
    };
    let admin = |action: &str| {
        format!(
            "permit(principal in Role::\"Admin\", action == Action::\"{action}\", resource == Key::\"{KEY}\");\n"
        )
    };
    let mut text = String::from("forbid(principal, action, resource) when { !context.secure };\n");
    text.extend(["PutKeyPolicy", "CreateAlias"].map(admin));
    text.extend(["A", "B", "C", "D", "E"].map(|name| permit(name, name)));
    text + &permit("App", "42") + &admin("CreateGrant")
}

/// Managed policies in Cedar's language.
pub fn managed_cedar_policies(count: usize) -> String {
    let statement = |index: usize| {
        let tenant = managed_tenant(index / 5, index % 5, count);
        format!(
            "permit(principal in Role::\"App\", action == Action::\"Decrypt\", resource is Key) \
             when {{ context.encryptionContext has tenant && context.encryptionContext.tenant == \"{tenant}\" }};\n"
        )
    };
    (0..count * 5).map(statement).collect()
}

/// The crate iam-rs. It knows no roles behind sessions: its policies name the session.
pub struct IamRs(PolicyEvaluator);

impl IamRs {
    /// Compiles policies.
    pub fn new(policies: &[Value]) -> Self {
        let compile = |policy: &Value| {
            let text = policy.to_string().replace("arn:aws:iam::111122223333:role/App", SESSION);
            IAMPolicy::from_json(&text).expect("a policy")
        };
        Self(PolicyEvaluator::with_policies(policies.iter().map(compile).collect()))
    }

    /// Whether it allows.
    pub fn ask(&self, question: Question<'_>) -> bool {
        let text = |value: &str| ContextValue::String(value.to_owned());
        let pairs = [
            ("kms:EncryptionContext:app", text("orders")),
            ("kms:EncryptionContext:purpose", text("pii")),
            ("kms:EncryptionContext:tenant", text(question.tenant)),
            ("aws:SecureTransport", ContextValue::Boolean(true)),
            ("aws:MultiFactorAuthPresent", ContextValue::Boolean(false)),
            ("aws:PrincipalOrgID", text("o-example1")),
            ("aws:SourceIp", text("192.0.2.7")),
            ("aws:SourceVpce", text("vpce-0abc")),
        ];
        let context: HashMap<String, ContextValue> =
            pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let request = IAMRequest::new_with_context(
            iam_rs::Principal::Aws(PrincipalId::String(SESSION.to_owned())),
            "kms:Decrypt",
            Arn::parse(question.key).expect("an ARN"),
            iam_rs::Context::with_data(context),
        );
        self.0.evaluate(&request).is_ok_and(|found| found.decision == iam_rs::Decision::Allow)
    }
}
