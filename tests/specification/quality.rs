//! Whether the generator's cases are good ones: all outcomes, all rules, and each of them matters.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use serde_json::Value;

use crate::each::each;
use crate::generator::generate;
use crate::law::operators::OPERATORS;
use crate::law::switches::SWITCHES;
use crate::law::{self, Outcome, catalog};
use crate::policies_of::{each_policy, statements};

const SEEDS: Range<u64> = 0..20_000;

/// Of this many cases one is decided again without each of its parts.
const TAKEN_APART: u64 = 2;

/// How often something was seen.
type Tally = BTreeMap<String, usize>;

/// What was seen in the cases of all seeds.
static TALLY: LazyLock<Tally> = LazyLock::new(|| {
    let mut tally = Tally::new();
    let seen = each(SEEDS, |seed| {
        let case = generate(seed);
        look(seed, &case, &law::decide(&case))
    });
    for name in seen.into_iter().flatten() {
        *tally.entry(name).or_default() += 1;
    }
    tally
});

fn look(seed: u64, case: &Value, outcome: &Outcome) -> Vec<String> {
    let mut seen = vec![format!("outcome {}", outcome.word())];
    seen.push(format!("caller {} {}", caller(case), outcome.word()));
    seen.extend(forms(case).into_iter().map(|form| format!("form {form}")));
    let Outcome::Decided { decision, error_code, .. } = outcome else { return seen };
    seen.extend(error_code.iter().map(|code| format!("code {code}")));
    let action = case["request"]["action"].as_str().expect("an action");
    let permitted = if ["allowed", "keyState"].contains(&decision.as_str()) { "yes" } else { "no" };
    seen.push(format!("action {action} {permitted}"));
    for (operator, key) in conditions(case) {
        seen.extend([format!("operator {operator}"), format!("key {key}")]);
    }
    if seed.is_multiple_of(TAKEN_APART) {
        let matter = MATTER.iter().filter(|member| matters(case, outcome, member));
        seen.extend(matter.map(|member| format!("member {member}")));
    }
    seen
}

/// Asserts that each of these was seen so often.
#[track_caller]
fn expect(wanted: impl IntoIterator<Item = (String, usize)>) {
    expect_in(&TALLY, wanted);
}

#[track_caller]
fn expect_in(tally: &Tally, wanted: impl IntoIterator<Item = (String, usize)>) {
    let seen = |name: &str| tally.get(name).copied().unwrap_or_default();
    let too_few: Vec<String> = wanted
        .into_iter()
        .filter(|(name, least)| seen(name) < *least)
        .map(|(name, least)| format!("{name}: {}, expected {least}", seen(&name)))
        .collect();
    assert!(too_few.is_empty(), "seen too seldom:\n{}", too_few.join("\n"));
}

#[test]
fn every_outcome_has_its_share() {
    let percent = |share: usize| SEEDS.count() * share / 100;
    let outcomes = [
        ("allowed", percent(15)),
        ("explicitDeny", percent(12)),
        ("implicitDeny", percent(25)),
        ("keyState", percent(1)),
        ("invalidPolicy", percent(1)),
        ("invalidRequest", percent(1)),
        ("invalidCase", 20),
    ];
    expect(outcomes.map(|(outcome, least)| (format!("outcome {outcome}"), least)));
    let codes = [
        "NotFoundException",
        "DisabledException",
        "KMSInvalidStateException",
        "UnsupportedOperationException",
        "DryRunOperationException",
    ];
    expect(codes.map(|code| (format!("code {code}"), 20)));
}

#[test]
fn every_operation_is_allowed_and_denied() {
    let operations = catalog::operations().into_iter().flat_map(|operation| {
        let action = format!("kms:{operation}");
        if operation == "ReEncrypt" { vec![operation] } else { vec![operation, action] }
    });
    let halves = ["kms:ReEncryptFrom", "kms:ReEncryptTo"].map(str::to_owned);
    expect(
        operations
            .chain(halves)
            .flat_map(|action| ["yes", "no"].map(|word| (format!("action {action} {word}"), 1))),
    );
}

/// Every condition of a case: operator and condition key.
fn conditions(case: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    each_policy(&mut case.clone(), &mut |_, policy| {
        for statement in statements(policy) {
            for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
                for key in keys.as_object().into_iter().flatten().map(|(key, _)| key) {
                    found.push((operator.clone(), key.to_lowercase()));
                }
            }
        }
    });
    found
}

#[test]
fn every_form_of_every_operator_occurs() {
    let forms = OPERATORS.iter().flat_map(|(operator, _, _)| match *operator {
        "Null" => vec![("Null".to_owned(), 50)],
        operator => vec![
            (operator.to_owned(), 50),
            (format!("{operator}IfExists"), 20),
            (format!("ForAllValues:{operator}"), 5),
            (format!("ForAnyValue:{operator}"), 5),
        ],
    });
    expect(forms.map(|(operator, least)| (format!("operator {operator}"), least)));
}

#[test]
fn every_condition_key_of_kms_is_tested() {
    for name in catalog::condition_keys() {
        // Families have a name of the user's choosing at the end.
        let stem =
            format!("key {}", name.split(['$', '<']).next().unwrap_or_default().to_lowercase());
        let is_family = name.contains(['$', '<']);
        let of_name = |key: &str| if is_family { key.starts_with(&stem) } else { *key == stem };
        let found: usize =
            TALLY.iter().filter(|(key, _)| of_name(key)).map(|(_, count)| count).sum();
        assert!(found >= 20, "{name}: {found} times");
    }
}

/// The case without a member, wherever it stands; none if it has no such member.
fn without(case: &Value, member: &str) -> Option<Value> {
    fn remove(value: &mut Value, member: &str, found: &mut bool) {
        match value {
            Value::Object(members) => {
                *found |= members.remove(member).is_some();
                members.values_mut().for_each(|value| remove(value, member, found));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| remove(item, member, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = false;
    let mut fewer = case.clone();
    remove(&mut fewer, member, &mut found);
    found.then_some(fewer)
}

/// Members of cases that must make a difference, somewhere.
const MATTER: [&str; 43] = [
    // Documents.
    "Aliases",
    "AttachedManagedPolicies",
    "Constraints",
    "EncryptionContextEquals",
    "EncryptionContextSubset",
    "Enabled",
    "GrantToken",
    "Grants",
    "GroupList",
    "IssuingAccount",
    "KeyLastUsage",
    "KeyManager",
    "KeyState",
    "KeyUsage",
    "ManagementAccountId",
    "MultiRegion",
    "Origin",
    "PermissionsBoundary",
    "RamPolicy",
    "ResourceControlPolicies",
    "RetiringPrincipal",
    "RoleDetailList",
    "ServiceControlPolicies",
    "SourceArn",
    "State",
    "Tags",
    "UserDetailList",
    // Statements.
    "Condition",
    "Version",
    // The request and its surroundings.
    "context",
    "contextOverrides",
    "destinationEncryptionContext",
    "dryRun",
    "encryptionContext",
    "grantTokens",
    "issuerArn",
    "multivaluedContext",
    "now",
    "roleArn",
    "sessionPolicies",
    "tags",
    "userId",
    "viaService",
];

/// Whether the case is decided otherwise without this member.
fn matters(case: &Value, outcome: &Outcome, member: &str) -> bool {
    without(case, member).is_some_and(|fewer| {
        let decided = law::decide(&fewer);
        matches!(decided, Outcome::Decided { .. }) && decided != *outcome
    })
}

#[test]
fn every_part_of_a_case_makes_a_difference() {
    expect(MATTER.map(|member| (format!("member {member}"), 1)));
}

/// The switches of the case without which it is decided otherwise.
fn switches_that_matter(case: &Value, outcome: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    for (name, value) in case["options"].as_object().into_iter().flatten() {
        let mut otherwise = case.clone();
        otherwise["options"].as_object_mut().expect("options").remove(name);
        if law::decide(&otherwise) != *outcome {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            found.push(format!("switch {} {value}", name.trim_start_matches("evaluation.")));
        }
    }
    found
}

/// Few cases have a given switch, and fewer turn on it.
const WITH_SWITCHES: Range<u64> = 0..60_000;

#[test]
fn every_value_of_every_switch_makes_a_difference() {
    let mut seen = Tally::new();
    let matter = each(WITH_SWITCHES, |seed| {
        let case = generate(seed);
        match &case["options"] {
            Value::Object(_) => switches_that_matter(&case, &law::decide(&case)),
            _ => Vec::new(),
        }
    });
    matter.into_iter().flatten().for_each(|name| *seen.entry(name).or_default() += 1);
    let values = SWITCHES.iter().flat_map(|(name, values)| {
        values.iter().skip(1).map(move |value| (format!("switch {name} {value}"), 1))
    });
    expect_in(&seen, values);
}

/// The kind of the caller and its account.
fn caller(case: &Value) -> String {
    let caller = case["request"]["principal"]["arn"].as_str().unwrap_or_default();
    let mut parts = caller.split(':').skip(4);
    match (parts.next(), parts.next()) {
        (Some(account), Some(resource)) => {
            format!("{} {account}", resource.split('/').next().unwrap_or_default())
        }
        _ => caller.to_owned(),
    }
}

const FORMS: [(&str, &str); 12] = [
    ("url-encoded", "\"%7B"),
    ("as text", "\"Policy\":\"{"),
    ("default policy", "\"Policy\":\"default\""),
    ("another partition", "arn:aws-us-gov:"),
    ("a principal of another partition", "arn:aws-cn:iam"),
    ("a wildcard in a service", "\"???:"),
    ("session tags in two spellings", "\"tags\":{\"Team\":\"blue\",\"team\""),
    ("the older version", "2008-10-17"),
    ("beyond ASCII", "größe"),
    ("a variable with default", ", 'red'}"),
    ("a wildcard as a value", "\"*\""),
    ("in a document of its own", "\"TargetKeyId\""),
];

fn forms(case: &Value) -> Vec<&'static str> {
    let text = case.to_string();
    FORMS.iter().filter(|(_, sign)| text.contains(sign)).map(|(form, _)| *form).collect()
}

#[test]
fn every_kind_of_caller_and_form_of_policy_occurs() {
    expect(FORMS.map(|(form, _)| (format!("form {form}"), 50)));
    let kinds = ["user", "assumed-role", "federated-user", "root"];
    let accounts = ["111122223333", "444455556666"];
    let callers = kinds.iter().flat_map(|kind| accounts.map(|account| format!("{kind} {account}")));
    let callers = callers.chain(["dynamodb.amazonaws.com".to_owned()]);
    expect(callers.flat_map(|caller| {
        ["allowed", "explicitDeny", "implicitDeny"]
            .map(|outcome| (format!("caller {caller} {outcome}"), 10))
    }));
}
