//! One flaw, so that the case has no answer, or a doubtful one.

use serde_json::{Map, Value, json};

use super::random::Random;

/// Changes one thing for the worse. What it changes is not always there.
type Flaw = fn(&mut Random, &mut Value) -> Option<()>;

const FLAWS: [Flaw; 13] = [
    statement,
    statement,
    condition,
    condition,
    policy,
    key,
    identity,
    organization,
    grant,
    contradiction,
    request,
    case_itself,
    spelling,
];

pub(super) fn spoil(random: &mut Random, case: &mut Value) {
    while random.pick(&FLAWS)(random, case).is_none() {}
}

fn list(value: &mut Value) -> Option<&mut Vec<Value>> {
    value.as_array_mut().filter(|list| !list.is_empty())
}

fn pick<'v>(random: &mut Random, values: Vec<&'v mut Value>) -> Option<&'v mut Value> {
    let count = values.len();
    values.into_iter().nth(random.below(count.max(1)))
}

fn documents(case: &mut Value) -> impl Iterator<Item = &mut Value> {
    case["documents"].as_array_mut().into_iter().flatten()
}

/// Every document with this member.
fn with<'v>(case: &'v mut Value, member: &str) -> Vec<&'v mut Value> {
    documents(case).filter(|document| document.get(member).is_some()).collect()
}

/// An entry of a list in one of the documents.
fn entry<'v>(random: &mut Random, case: &'v mut Value, member: &str) -> Option<&'v mut Value> {
    let lists = with(case, member).into_iter().filter_map(|d| list(&mut d[member])).flatten();
    let entries = lists.collect();
    pick(random, entries)
}

/// The policies that are written as objects.
fn policies(case: &mut Value) -> Vec<&mut Value> {
    fn below<'v>(value: &'v mut Value, found: &mut Vec<&'v mut Value>) {
        match value {
            Value::Object(members) if members.contains_key("Statement") => found.push(value),
            Value::Object(members) => members.values_mut().for_each(|value| below(value, found)),
            Value::Array(items) => items.iter_mut().for_each(|value| below(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    documents(case).for_each(|document| below(document, &mut found));
    found
}

/// A statement of one of the policies.
fn some_statement<'v>(
    random: &mut Random,
    case: &'v mut Value,
) -> Option<&'v mut Map<String, Value>> {
    let policy = pick(random, policies(case))?;
    match &mut policy["Statement"] {
        Value::Array(statements) => pick(random, statements.iter_mut().collect())?.as_object_mut(),
        statement => statement.as_object_mut(),
    }
}

fn statement(random: &mut Random, case: &mut Value) -> Option<()> {
    let statement = some_statement(random, case)?;
    let (element, value) = random.pick(&[
        ("Effect", json!("allow")),
        ("Effect", json!("DENY")),
        ("Effect", json!(true)),
        ("Resources", json!("*")),
        ("effect", json!("Allow")),
        ("Action", json!([])),
        ("Action", json!(7)),
        ("Action", json!("Decrypt")),
        ("Action", json!(["kms:*", null])),
        ("Action", json!("kms:Decrypt ")),
        ("Action", json!([" kms:*", "kms:Encrypt"])),
        ("Action", json!("kms:Decr\u{443}pt")),
        ("Action", json!("kms:\tDecrypt")),
        ("NotAction", json!("kms:Decrypt")),
        ("Resource", json!([])),
        ("Resource", json!({"ARN": "*"})),
        ("Resource", json!("arn:aws:kms:us-west-2:111122223333:key/* ")),
        ("Resource", json!(["*", "* "])),
        ("Resource", json!("arn:aws:kms:us-west-2:111122223333:key/${aws:PrincipalTag/a b}")),
        ("Resource", json!(["*", "arn:aws:s3:::a b"])),
        ("NotResource", json!("arn:aws: kms:us-west-2:111122223333:key/1")),
        ("NotResource", json!("*")),
        ("Principal", json!("*")),
        ("Principal", json!("alice")),
        ("Principal", json!({"AWS": []})),
        ("Principal", json!({"AWS": "arn:aws:iam::111122223333:group/Team"})),
        ("Principal", json!({"AWS": "arn:aws:iam::111122223333:user/*"})),
        ("Principal", json!({"AWS": "11112222333"})),
        ("Principal", json!({"AWS": "111122223333 "})),
        ("Principal", json!({"AWS": "arn:aws:iam::111122223333:user/Alice "})),
        ("Principal", json!({"AWS": "arn:aws:iam::111122223333:role/a b/App"})),
        ("Principal", json!({"AWS": "arn:aws:iam::111122223333:role/Äpp"})),
        ("Principal", json!({"AWS": "arn:aws:sts::111122223333:assumed-role/App/s 1"})),
        ("Principal", json!({"AWS": "arn:AWS:iam::111122223333:root"})),
        ("Principal", json!({"CanonicalUser": "abc"})),
        ("Principal", json!({"Service": "dynamodb"})),
        ("Principal", json!({"aws": "*"})),
        ("Principal", json!({})),
        ("NotPrincipal", json!({"AWS": "arn:aws:iam::111122223333:root"})),
        ("Condition", json!([])),
        ("Condition", json!({"StringEquals": "x"})),
    ]);
    match random.chance(15) {
        true => statement.remove(element).map(drop),
        false => statement.insert(element.to_owned(), value).map_or(Some(()), |_| Some(())),
    }
}

/// A condition block of one test.
fn condition(random: &mut Random, case: &mut Value) -> Option<()> {
    let statement = some_statement(random, case)?;
    let (operator, key, values) = random.pick(&[
        ("StringEqual", "aws:username", json!("Alice")),
        ("stringequals", "aws:username", json!("Alice")),
        ("NullIfExists", "aws:username", json!("true")),
        ("ForAllValues:Null", "aws:TagKeys", json!("true")),
        ("ForSomeValues:StringEquals", "aws:TagKeys", json!("team")),
        ("StringEqualsIfExistsIfExists", "aws:username", json!("Alice")),
        ("StringEquals", "username", json!("Alice")),
        ("StringEquals", "aws:", json!("Alice")),
        ("StringEquals", "aws:username", json!([])),
        ("StringEquals", "aws:username", json!(null)),
        ("StringEquals", "aws:username", json!({"a": "b"})),
        ("StringEquals", "aws:username", json!("${aws:username")),
        ("StringEquals", "aws:username", json!("${username}")),
        ("StringLike", "aws:username", json!("${aws:PrincipalTag/team, red}")),
        ("StringLike", "aws:username", json!("${}")),
        ("ArnLike", "aws:PrincipalArn", json!("${aws:PrincipalArn")),
        ("NumericEquals", "aws:MultiFactorAuthAge", json!("ten")),
        ("NumericLessThan", "aws:MultiFactorAuthAge", json!("1e3")),
        ("NumericEquals", "aws:MultiFactorAuthAge", json!(true)),
        ("DateLessThan", "aws:CurrentTime", json!("tomorrow")),
        ("DateLessThan", "aws:CurrentTime", json!("2026-02-30")),
        ("DateLessThan", "aws:CurrentTime", json!("2026-01-01T00:00:00")),
        ("IpAddress", "aws:SourceIp", json!("192.0.2.0/33")),
        ("IpAddress", "aws:SourceIp", json!("192.0.2")),
        ("IpAddress", "aws:SourceIp", json!("192.0.2.*")),
        ("BinaryEquals", "aws:username", json!("?")),
        ("BinaryEquals", "aws:username", json!("YQ")),
        ("Bool", "aws:SecureTransport", json!("yes")),
        ("Bool", "aws:SecureTransport", json!(1)),
        ("Null", "aws:TokenIssueTime", json!("maybe")),
        ("StringEquals", "kms:EncryptionContextKeys", json!("team")),
        ("StringNotEquals", "aws:CalledVia", json!("athena.amazonaws.com")),
        ("StringLikeIfExists", "kms:ResourceAliases", json!("alias/*")),
    ]);
    statement.insert("Condition".to_owned(), json!({operator: {key: values}}));
    Some(())
}

fn policy(random: &mut Random, case: &mut Value) -> Option<()> {
    let policy = pick(random, policies(case))?;
    let (member, value) = random.pick(&[
        ("Version", json!("2012-10-18")),
        ("Version", json!("2008-10-17")),
        ("Version", json!(2012)),
        ("Statement", json!("Allow")),
        ("Statement", json!([{"Effect": "Allow"}])),
        ("Statement", json!([[]])),
        ("statement", json!([])),
        ("Id", json!("a policy")),
    ]);
    policy[member] = value;
    Some(())
}

fn key(random: &mut Random, case: &mut Value) -> Option<()> {
    let key = pick(random, with(case, "KeyMetadata"))?.as_object_mut()?;
    let (member, value) = random.pick(&[
        ("Policy", json!("Default")),
        ("Policy", json!("{")),
        ("Policy", json!("{\"Statement\":[],\"Statement\":[]}")),
        ("Policy", json!("null")),
        ("Policy", json!(null)),
        ("Policy", json!([])),
        ("RamPolicy", json!({"Statement": [{"Effect": "Allow"}]})),
        ("Tags", json!([{"TagKey": "team"}])),
        ("IsTruncated", json!(true)),
        ("Policy", json!({"Statement": [], "Id": "\u{160}koda"})),
        ("Policy", json!("{\"Statement\":[],\"Id\":\"\u{160}koda\"}")),
        ("Policy", json!("{\"Statement\":[],\"Id\":\"\\u0160koda\"}")),
    ]);
    match random.chance(20) {
        true => key.remove("Policy").map(drop),
        false => key.insert(member.to_owned(), value).map_or(Some(()), |_| Some(())),
    }
}

fn identity(random: &mut Random, case: &mut Value) -> Option<()> {
    let kind = random.pick(&["UserDetailList", "RoleDetailList"]);
    let identity = entry(random, case, kind)?;
    let missing = "arn:aws:iam::111122223333:policy/none";
    let (member, value) = random.pick(&[
        ("AttachedManagedPolicies", json!([{"PolicyArn": missing, "PolicyName": "none"}])),
        ("PermissionsBoundary", json!({"PermissionsBoundaryArn": missing})),
        ("GroupList", json!(["Nobody"])),
        ("Arn", json!("arn:aws:iam::111122223333:group/Team")),
        ("Arn", json!("Alice")),
        ("Tags", json!([{"Key": "team"}])),
    ]);
    identity[member] = value;
    Some(())
}

fn organization(random: &mut Random, case: &mut Value) -> Option<()> {
    let document = pick(random, with(case, "Organization"))?;
    let root = &mut document["Organization"]["Root"];
    let rcp = |statement: Value| {
        json!([{"Name": "rcp", "Id": "p-bad",
            "Content": {"Version": "2012-10-17", "Statement": [statement]}}])
    };
    let (member, value) = random.pick(&[
        ("Accounts", json!([{"Id": "111122223333"}])), // In two places.
        ("Accounts", json!([{"Id": "1111"}])),
        ("ServiceControlPolicies", json!([{"Name": "scp", "Id": "p-bad"}])),
        (
            "ResourceControlPolicies",
            rcp(json!({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"})),
        ),
        (
            "ResourceControlPolicies",
            rcp(json!({"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"})),
        ),
        (
            "ResourceControlPolicies",
            rcp(json!({"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"})),
        ),
        (
            "ResourceControlPolicies",
            rcp(json!({"Effect": "Deny", "Principal": "*", "NotAction": "kms:*", "Resource": "*"})),
        ),
    ]);
    root[member] = value;
    Some(())
}

fn grant(random: &mut Random, case: &mut Value) -> Option<()> {
    let grant = entry(random, case, "Grants")?;
    let (member, value) = random.pick(&[
        ("GranteePrincipal", json!("alice")),
        ("GranteePrincipal", json!("arn:aws:iam::111122223333:group/Team")),
        ("GranteePrincipal", json!(null)),
        ("GranteeServicePrincipal", json!("dynamodb.amazonaws.com")),
        ("GranteeServicePrincipal", json!("dynamodb")),
        ("RetiringPrincipal", json!("*.amazonaws")),
        ("Operations", json!([])),
        ("Operations", json!(["Decrypt", "PutKeyPolicy"])),
        ("Operations", json!(["kms:Decrypt"])),
        ("Operations", json!(["ReEncrypt"])),
        ("GrantId", json!(null)),
        ("Constraints", json!({"EncryptionContextEquals": {"team": "red"}, "EncryptionContextSubset": {"team": "red"}})),
        ("Constraints", json!({"EncryptionContextEquals": "team"})),
        ("Constraints", json!({"EncryptionContextSubset": {"team": 1}})),
        ("Constraints", json!({"SourceArn": []})),
        ("Constraints", json!({"SourceAccount": "111122223333"})),
        ("GrantToken", json!("token-1-1")),
        ("State", json!("soon")),
    ]);
    grant[member] = value;
    Some(())
}

/// The same thing again, but otherwise.
fn contradiction(random: &mut Random, case: &mut Value) -> Option<()> {
    let mut again = random.pick(case["documents"].as_array()?);
    let lists = ["UserDetailList", "GroupDetailList", "RoleDetailList", "VpcEndpoints"];
    if again.get("KeyMetadata").is_some() {
        let changes = [
            ("/KeyMetadata/Description", json!("another")),
            ("/Policy", json!({"Version": "2012-10-17", "Statement": []})),
        ];
        let (place, value) = random.pick(&changes);
        match again.pointer_mut(place) {
            Some(found) => *found = value,
            None => again["KeyMetadata"]["Description"] = value,
        }
    } else if again.get("Organization").is_some() {
        again["Organization"]["Id"] = json!("o-another");
    } else {
        let name =
            lists.iter().find(|name| again[**name].as_array().is_some_and(|l| !l.is_empty()))?;
        again[*name][0]["Tags"] = json!([{"Key": "another", "Value": "one"}]);
        if *name == "VpcEndpoints" {
            again[*name][0]["PolicyDocument"] = json!("{\"Statement\":[]}");
        }
    }
    case["documents"].as_array_mut()?.push(again);
    Some(())
}

fn request(random: &mut Random, case: &mut Value) -> Option<()> {
    let request = &mut case["request"];
    let action = request["action"].as_str()?.to_owned();
    let (place, value) = random.pick(&[
        ("/context", json!({"kms:ViaService": "s3.us-west-2.amazonaws.com"})),
        ("/context", json!({"AWS:PrincipalTag/team": "red"})),
        ("/context", json!({"aws:CurrentTime": "2026-01-01T00:00:00Z"})),
        ("/context", json!({"aws:CalledVia": "athena.amazonaws.com"})),
        ("/context", json!({"aws:SourceIp": "192.0.2.1", "AWS:sourceip": "192.0.2.1"})),
        ("/context", json!({"SourceIp": "192.0.2.1"})),
        ("/context", json!({"aws:SourceIp": 7})),
        ("/multivaluedContext", json!({"aws:SourceIp": {"values": ["192.0.2.1"]}})),
        ("/multivaluedContext", json!({"kms:ResourceAliases": {"values": ["alias/a"]}})),
        ("/multivaluedContext", json!({"aws:CalledVia": ["a"]})),
        ("/action", json!("kms:ReEncrypt")),
        ("/action", json!("decrypt")),
        ("/action", json!(format!("KMS:{}", action.trim_start_matches("kms:")))),
        ("/action", json!("s3:GetObject")),
        ("/keyId", json!("arn:aws:s3:::bucket")),
        ("/keyId", json!("alias/with blank")),
        ("/keyId", json!("arn:aws:kms:us-west-2:1111:key/a")),
        ("/keyId", json!("")),
        ("/keyId", json!("alias/orders")),
        ("/grantTokens", json!(["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"])),
        ("/grantTokens", json!([""])),
        ("/principal/arn", json!("arn:aws:iam::111122223333:role/App")),
        ("/principal/arn", json!("arn:aws:iam::111122223333:user/*")),
        ("/principal/arn", json!("arn:aws:iam::11112222333:user/Alice")),
        ("/principal/arn", json!("arn:aws:sts::111122223333:assumed-role/App")),
        ("/principal/arn", json!("*")),
        ("/principal/arn", json!("")),
        ("/principal/roleArn", json!("arn:aws:iam::111122223333:role/Other")),
        ("/principal/roleArn", json!("arn:aws:iam::999900001111:role/App")),
        ("/principal/roleArn", json!("arn:aws-cn:iam::111122223333:role/App")),
        ("/principal/issuerArn", json!("arn:aws-cn:iam::111122223333:user/Alice")),
        ("/principal/userId", json!("AIDA")),
        ("/principal/issuerArn", json!("arn:aws:iam::111122223333:role/App")),
        ("/principal/sessionPolicies", json!(["{\"Statement\":[{\"Effect\":\"Allow\"}]}"])),
        ("/principal/sessionPolicies", json!(["not a policy"])),
        ("/principal/name", json!("Alice")),
        ("/region", json!("nowhere else")),
        ("/viaService", json!("s3")),
        ("/encryptionContext", json!({"": "red"})),
        ("/encryptionContext", json!(["team"])),
        ("/resource", json!("*")),
        ("/dryRun", json!("yes")),
        ("/parameters", json!({"keySpecification": "RSA_2048"})),
        ("/parameters", json!({"pendingWindowInDays": "a week"})),
        ("/parameters", json!({"grant": {"operations": ["Decrypt"]}})),
        ("/parameters", json!({"aliasName": "orders"})),
        ("/parameters", json!({"tags": [{"tagKey": "team"}, {"tagKey": "team"}]})),
    ]);
    let (above, member) = place.rsplit_once('/').unwrap_or_default();
    request.pointer_mut(above)?[member] = value;
    Some(())
}

fn case_itself(random: &mut Random, case: &mut Value) -> Option<()> {
    let (member, value) = random.pick(&[
        ("options", json!({"profile": "strict"})),
        ("options", json!({"cross_account": "always_iam"})),
        ("options", json!({"auth_before_state": 1})),
        ("options", json!([])),
        ("now", json!("noon")),
        ("now", json!(1767225600)),
        ("documents", json!({"KeyMetadata": {}})),
        ("documents", json!([{"Unknown": []}])),
        ("documents", json!([[]])),
        ("contextOverrides", json!({"aws:username": 1})),
        ("contextOverrides", json!({"username": "Alice"})),
        ("contextOverrides", json!({"aws:username": "a", "AWS:UserName": "b"})),
        ("contextOverrides", json!(["aws:username"])),
        ("request", json!(null)),
        ("Documents", json!([])),
        ("contextoverrides", json!({})),
        ("NOW", json!("2026-01-01T00:00:00Z")),
    ]);
    case[member] = value;
    Some(())
}

/// Members with which a limit, or a Deny, would be lost.
const LIMITS: [&str; 16] = [
    "AttachedManagedPolicies",
    "Constraints",
    "GroupList",
    "Organization",
    "PermissionsBoundary",
    "RamPolicy",
    "ResourceControlPolicies",
    "RolePolicyList",
    "ServiceControlPolicies",
    "State",
    "Tags",
    "UserPolicyList",
    "KeyState",
    "Policies",
    "GroupDetailList",
    "SourceArn",
];

/// A member whose name is right but for its case; beside itself, at times.
fn spelling(random: &mut Random, case: &mut Value) -> Option<()> {
    fn holders<'v>(value: &'v mut Value, name: &str, found: &mut Vec<&'v mut Value>) {
        match value {
            Value::Object(members) if members.contains_key(name) => found.push(value),
            Value::Object(members) => {
                members.values_mut().for_each(|value| holders(value, name, found));
            }
            Value::Array(items) => items.iter_mut().for_each(|value| holders(value, name, found)),
            _ => {}
        }
    }
    let name = random.pick(&LIMITS);
    let mut found = Vec::new();
    documents(case).for_each(|document| holders(document, name, &mut found));
    let members = pick(random, found)?.as_object_mut()?;
    let value = members.get(name)?.clone();
    if random.chance(70) {
        members.remove(name);
    }
    let (first, rest) = name.split_at(1);
    let spellings = [first.to_lowercase() + rest, name.to_uppercase(), name.to_lowercase()];
    members.insert(random.pick(&spellings), value);
    Some(())
}
