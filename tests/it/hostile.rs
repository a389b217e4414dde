//! Malformed, contradictory and hostile input: an error that names the place, and never an allow.

use keyward::wire::case::answer;
use keyward::wire::proto::json::read;
use keyward::wire::v1;
use serde_json::{Value, json};
use tonic::Code;
use tonic_types::StatusExt as _;

use crate::doors::{Door, keyward, noon, parsed, text};

const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ALICE: &str = "arn:aws:iam::111122223333:user/Alice";

/// A key whose policy is this text.
fn key(policy: &str) -> String {
    format!(r#"{{"KeyMetadata":{{"Arn":"{KEY}"}},"Policy":{policy}}}"#)
}

/// A key whose policy has this one statement.
fn statement(members: &str) -> String {
    key(&format!(r#"{{"Version":"2012-10-17","Statement":[{{{members}}}]}}"#))
}

const ALLOW: &str = r#""Effect":"Allow","Principal":{"AWS":"*"},"Action":"kms:*","Resource":"*""#;

fn allow_and(more: &str) -> String {
    statement(&format!("{ALLOW},{more}"))
}

/// Documents that are refused, with the code of the problem.
fn documents() -> Vec<(&'static str, String)> {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let wide = format!(
        r#"{{"KeyMetadata":{{"Arn":"{KEY}"}},"Policy":{{"Statement":[{}]}}}}"#,
        vec![format!("{{{ALLOW}}}"); 600].join(",")
    );
    let user = |more: &str| {
        format!(
            r#"{{"UserDetailList":[{{"UserName":"Alice","UserId":"AIDA","Arn":"{ALICE}",{more}}}]}}"#
        )
    };
    let grant = |more: &str| format!(r#"{{"Grants":[{{"KeyId":"{KEY}","GrantId":"g",{more}}}]}}"#);
    vec![
        ("unknown-document", "{}".into()),
        ("unknown-document", r#"{"keymetadata":{}}"#.into()),
        ("wrong-type", r#"{"Keys":{}}"#.into()),
        ("wrong-type", r#"{"KeyMetadata":[]}"#.into()),
        ("bad-key-arn", r#"{"KeyMetadata":{"Arn":"arn:aws:kms:us-west-2:1:key/x"},"Policy":"default"}"#.into()),
        ("missing-key-policy", format!(r#"{{"KeyMetadata":{{"Arn":"{KEY}"}}}}"#)),
        ("unknown-value", format!(r#"{{"KeyMetadata":{{"Arn":"{KEY}","KeyState":"Usable"}},"Policy":"default"}}"#)),
        ("contradicting-members", format!(r#"{{"KeyMetadata":{{"Arn":"{KEY}","KeyId":"other"}},"Policy":"default"}}"#)),
        ("json-syntax", key(r#""{\"Statement\":[}""#)),
        ("json-duplicate-member", key(r#""{\"Statement\":[],\"Statement\":[]}""#)),
        ("json-too-deep", key(&format!("{:?}", deep))),
        ("key-policy-too-large", wide),
        ("key-policy-characters", allow_and(r#""Sid":"日""#)),
        ("key-policy-characters", allow_and(r#""Sid":"\u65e5""#)),
        ("missing-statement", key("{}")),
        ("bad-statement", key(r#"{"Statement":[[]]}"#)),
        ("bad-version", key(r#"{"Version":"2013-10-17","Statement":[]}"#)),
        ("unknown-element", allow_and(r#""NotEffect":"Deny""#)),
        ("unknown-element", allow_and(r#""condition":{}"#)),
        ("missing-effect", statement(r#""Principal":"*","Action":"kms:*","Resource":"*""#)),
        ("bad-effect", statement(r#""Effect":"allow","Principal":"*","Action":"kms:*","Resource":"*""#)),
        ("missing-principal", statement(r#""Effect":"Allow","Action":"kms:*","Resource":"*""#)),
        ("bad-principal", statement(r#""Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/*"},"Action":"kms:*","Resource":"*""#)),
        ("bad-principal", statement(r#""Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:group/g"},"Action":"kms:*","Resource":"*""#)),
        ("bad-principal", statement(r#""Effect":"Allow","Principal":{"CanonicalUser":"a"},"Action":"kms:*","Resource":"*""#)),
        ("allow-with-not-principal", statement(r#""Effect":"Allow","NotPrincipal":{"AWS":"111122223333"},"Action":"kms:*","Resource":"*""#)),
        ("contradicting-elements", allow_and(r#""NotAction":"kms:Decrypt""#)),
        ("empty-element", statement(r#""Effect":"Allow","Principal":"*","Action":[],"Resource":"*""#)),
        ("bad-action", statement(r#""Effect":"Allow","Principal":"*","Action":"decrypt","Resource":"*""#)),
        ("bad-action", statement(r#""Effect":"Deny","Principal":"*","Action":"kms:Decrypt ","Resource":"*""#)),
        ("bad-action", statement(r#""Effect":"Deny","Principal":"*","Action":["kms:Encrypt"," kms:Decrypt"],"Resource":"*""#)),
        ("bad-action", statement(r#""Effect":"Deny","Principal":"*","NotAction":"kms:Decrypt\n","Resource":"*""#)),
        ("bad-principal", statement(r#""Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111122223333:user/Alice "},"Action":"kms:*","Resource":"*""#)),
        ("bad-principal", statement(r#""Effect":"Deny","Principal":{"AWS":["*"," 111122223333"]},"Action":"kms:*","Resource":"*""#)),
        ("bad-principal", statement(r#""Effect":"Deny","Principal":{"Service":"s3.amazonaws.com "},"Action":"kms:*","Resource":"*""#)),
        ("bad-condition", allow_and(r#""Condition":[]"#)),
        ("bad-operator", allow_and(r#""Condition":{"StringEqual":{"aws:SourceIp":"x"}}"#)),
        ("bad-operator", allow_and(r#""Condition":{"NullIfExists":{"aws:SourceIp":"true"}}"#)),
        ("bad-condition-key", allow_and(r#""Condition":{"StringEquals":{"SourceIp":"x"}}"#)),
        ("bad-operand", allow_and(r#""Condition":{"NumericEquals":{"aws:MultiFactorAuthAge":"1e9"}}"#)),
        ("bad-operand", allow_and(r#""Condition":{"IpAddress":{"aws:SourceIp":"010.0.0.0/8"}}"#)),
        ("bad-operand", allow_and(r#""Condition":{"DateLessThan":{"aws:CurrentTime":"tomorrow"}}"#)),
        ("bad-operand", allow_and(r#""Condition":{"Bool":{"aws:SecureTransport":"yes"}}"#)),
        ("bad-variable", allow_and(r#""Condition":{"StringEquals":{"aws:userid":"${aws:username"}}"#)),
        ("multivalued-without-set-operator", statement(r#""Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:GrantOperations":"Decrypt"}}"#)),
        ("bad-percent-encoding", user(r#""UserPolicyList":[{"PolicyName":"p","PolicyDocument":"%7B%ZZ"}]"#)),
        ("unexpected-principal", user(r#""UserPolicyList":[{"PolicyName":"p","PolicyDocument":{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}}]"#)),
        ("missing-policy", user(r#""AttachedManagedPolicies":[{"PolicyName":"p","PolicyArn":"arn:aws:iam::aws:policy/p"}]"#)),
        ("missing-boundary", user(r#""PermissionsBoundary":{"PermissionsBoundaryArn":"arn:aws:iam::111122223333:policy/b"}"#)),
        ("missing-group", user(r#""GroupList":["g"]"#)),
        ("misspelt-member", user(r#""permissionsBoundary":{}"#)),
        ("misspelt-member", user(r#""GroupList":[],"groupList":["g"]"#)),
        ("misspelt-member", user(r#""USERPOLICYLIST":[]"#)),
        ("misspelt-member", grant(r#""GranteePrincipal":"111122223333","Operations":["Decrypt"],"constraints":{"SourceArn":"arn:aws:s3:::b"}"#)),
        ("misspelt-member", grant(r#""GranteePrincipal":"111122223333","Operations":["Decrypt"],"state":"pending""#)),
        ("misspelt-member", format!(r#"{{"KeyMetadata":{{"Arn":"{KEY}","keyState":"Disabled"}},"Policy":"default"}}"#)),
        ("misspelt-member", r#"{"UserDetailList":[],"organization":{}}"#.into()),
        ("misspelt-member", r#"{"UserDetailList":[],"istruncated":true}"#.into()),
        ("misspelt-member", r#"{"Organization":{"Id":"o-example123","ManagementAccountId":"111122223333","Root":{"Id":"r-ab12","serviceControlPolicies":[]}}}"#.into()),
        ("truncated-export", r#"{"Grants":[],"Truncated":true}"#.into()),
        ("truncated-export", r#"{"UserDetailList":[],"IsTruncated":true}"#.into()),
        ("bad-grantee", grant(r#""Operations":["Decrypt"]"#)),
        ("bad-grantee", grant(r#""GranteePrincipal":"111122223333","GranteeServicePrincipal":"s3.amazonaws.com","Operations":["Decrypt"]"#)),
        ("bad-grant-operation", grant(r#""GranteePrincipal":"111122223333","Operations":["ScheduleKeyDeletion"]"#)),
        ("unknown-constraint", grant(r#""GranteePrincipal":"111122223333","Operations":["Decrypt"],"Constraints":{"Until":"2030"}"#)),
        ("bad-account", r#"{"Organization":{"Id":"o-example123","ManagementAccountId":"1","Root":{"Id":"r-ab12"}}}"#.into()),
        ("bad-organization-id", r#"{"Organization":{"Id":"o/example","ManagementAccountId":"111122223333","Root":{"Id":"r-ab12"}}}"#.into()),
        ("duplicate-account", r#"{"Organization":{"Id":"o-example123","ManagementAccountId":"111122223333","Root":{"Id":"r-ab12","Accounts":[{"Id":"444455556666"},{"Id":"444455556666"}]}}}"#.into()),
    ]
}

/// A line of a simulation that would be allowed, with these documents beside the allowing one.
fn line(more: &str) -> String {
    let policy = format!(r#"{{"Version":"2012-10-17","Statement":[{{{ALLOW}}}]}}"#);
    let allowing = format!(
        r#"{{"KeyMetadata":{{"Arn":"{}"}},"Policy":{policy}}}"#,
        KEY.replace("1234abcd-", "2234abcd-")
    );
    let request = json!({"principal": {"arn": ALICE}, "action": "kms:Decrypt",
        "keyId": KEY.replace("1234abcd-", "2234abcd-")});
    let comma = if more.is_empty() { "" } else { "," };
    format!(r#"{{"id":"h","request":{request},"documents":[{allowing}{comma}{more}]}}"#)
}

#[test]
fn a_hostile_document_refuses_the_whole_set_and_says_where() {
    assert_eq!(answer(&line(""), noon())["decision"], "allowed");
    for (code, document) in documents() {
        let answered = answer(&line(&document), noon());
        assert_eq!(answered["error"]["kind"], "invalidPolicy", "{document}: {answered}");
        let problems = answered["error"]["problems"].as_array().expect("problems");
        let named = problems.iter().find(|problem| problem["code"] == code);
        let named = named.unwrap_or_else(|| panic!("no {code} in {answered}, of {document}"));
        assert_eq!(named["document"], "documents[1]", "{document}: {named}");
        assert!(
            named["line"].as_u64() >= Some(1) && named["column"].as_u64() >= Some(1),
            "{named}"
        );
        assert!(named["message"].as_str().is_some_and(|text| !text.is_empty()), "{named}");
    }
}

#[test]
fn documents_that_contradict_each_other_name_both_places() {
    for (one, other) in [
        (key(r#""default""#), allow_and(r#""Sid":"x""#)),
        (
            r#"{"Aliases":[{"AliasName":"alias/a","AliasArn":"arn:aws:kms:us-west-2:111122223333:alias/a","TargetKeyId":"k1"}]}"#.to_owned(),
            r#"{"Aliases":[{"AliasName":"alias/a","AliasArn":"arn:aws:kms:us-west-2:111122223333:alias/a","TargetKeyId":"k2"}]}"#.to_owned(),
        ),
        (
            format!(r#"{{"Grants":[{{"KeyId":"{KEY}","GrantId":"g","GranteePrincipal":"111122223333","Operations":["Decrypt"]}}]}}"#),
            format!(r#"{{"Grants":[{{"KeyId":"{KEY}","GrantId":"g","GranteePrincipal":"111122223333","Operations":["Encrypt"]}}]}}"#),
        ),
    ] {
        let answered = answer(&line(&format!("{one},{other}")), noon());
        let problems = answered["error"]["problems"].as_array().expect("problems");
        let named = problems.iter().find(|problem| problem["code"] == "conflicting-documents");
        let named = named.unwrap_or_else(|| panic!("{answered}"));
        assert_eq!(named["document"], "documents[2]", "{named}");
        assert!(named["message"].as_str().is_some_and(|text| text.contains("documents[1]")), "{named}");
    }
}

/// Requests that are refused, with the field.
fn requests() -> Vec<(&'static str, Value)> {
    let with = |more: Value| {
        let mut request =
            json!({"principal": {"arn": ALICE}, "action": "kms:Decrypt", "keyId": KEY});
        for (name, value) in more.as_object().expect("members") {
            request[name] = value.clone();
        }
        request
    };
    let principal = |principal: Value| with(json!({"principal": principal}));
    let session = "arn:aws:sts::111122223333:assumed-role/App/s";
    let long = "x".repeat(9000);
    let many: Value = (0..11).map(|n| json!(format!("token-{n}"))).collect();
    vec![
        ("principal", json!({"action": "kms:Decrypt", "keyId": KEY})),
        ("principal.arn", principal(json!({"arn": ""}))),
        ("principal.arn", principal(json!({"arn": "*"}))),
        ("principal.arn", principal(json!({"arn": "arn:aws:iam::111122223333:role/App"}))),
        ("principal.arn", principal(json!({"arn": "arn:aws:iam::111122223333:user/"}))),
        (
            "principal.role_arn",
            principal(json!({"arn": ALICE, "roleArn": "arn:aws:iam::111122223333:role/App"})),
        ),
        (
            "principal.role_arn",
            principal(json!({"arn": session, "roleArn": "arn:aws:iam::444455556666:role/App"})),
        ),
        (
            "principal.role_arn",
            principal(json!({"arn": session, "roleArn": "arn:aws:iam::111122223333:role/Other"})),
        ),
        (
            "principal.role_arn",
            principal(json!({"arn": session, "roleArn": "arn:aws-cn:iam::111122223333:role/App"})),
        ),
        ("principal.user_id", principal(json!({"arn": session, "userId": "AROAEXAMPLE:another"}))),
        (
            "principal.user_id",
            principal(json!({"arn": "arn:aws:iam::111122223333:root", "userId": "AIDAEXAMPLE"})),
        ),
        (
            "principal.session_policies[0]",
            principal(json!({"arn": session, "sessionPolicies": ["{"]})),
        ),
        (
            "principal.session_policies[0]",
            principal(
                json!({"arn": session, "sessionPolicies": [r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}"#]}),
            ),
        ),
        ("action", with(json!({"action": ""}))),
        ("action", with(json!({"action": "kms:*"}))),
        ("action", with(json!({"action": "kms:decrypt"}))),
        ("action", with(json!({"action": "kms:ReEncrypt"}))),
        ("action", with(json!({"action": "s3:GetObject"}))),
        ("key_id", with(json!({"keyId": ""}))),
        ("key_id", with(json!({"keyId": "*"}))),
        ("key_id", with(json!({"keyId": "alias/"}))),
        ("key_id", with(json!({"keyId": "arn:aws:kms:us-west-2:*:key/1"}))),
        ("key_id", with(json!({"keyId": "x".repeat(3000)}))),
        ("key_id", with(json!({"action": "kms:PutKeyPolicy", "keyId": "alias/app"}))),
        ("encryption_context", with(json!({"encryptionContext": {"a": long}}))),
        ("grant_tokens", with(json!({"grantTokens": many}))),
        (
            "context[\"kms:CallerAccount\"]",
            with(json!({"context": {"kms:CallerAccount": "111122223333"}})),
        ),
        (
            "context[\"aws:PrincipalArn\"]",
            with(json!({"context": {"aws:PrincipalArn": "arn:aws:iam::111122223333:root"}})),
        ),
        (
            "context[\"AWS:principalaccount\"]",
            with(json!({"context": {"AWS:principalaccount": "111122223333"}})),
        ),
        ("context[\"SourceIp\"]", with(json!({"context": {"SourceIp": "192.0.2.1"}}))),
        ("context[\"aws:CalledVia\"]", with(json!({"context": {"aws:CalledVia": "x"}}))),
        (
            "multivalued_context[\"aws:SourceIp\"]",
            with(json!({"multivaluedContext": {"aws:SourceIp": {"values": ["192.0.2.1"]}}})),
        ),
        (
            "context[\"aws:sourceip\"]",
            with(json!({"context": {"aws:SourceIp": "192.0.2.1", "aws:sourceip": "192.0.2.2"}})),
        ),
        (
            "context[\"aws:PrincipalArn\"]",
            with(
                json!({"context": {"kms:b": "1", "kms:a": "1", "aws:PrincipalArn": "1", "x": "1"}}),
            ),
        ),
        ("via_service", with(json!({"viaService": "S3"}))),
        ("region", with(json!({"region": "nowhere"}))),
        ("parameters.grant", with(json!({"action": "CreateGrant"}))),
        (
            "parameters.grant",
            with(
                json!({"parameters": {"grant": {"granteePrincipal": ALICE, "operations": ["Decrypt"]}}}),
            ),
        ),
        ("parameters.destination_key_id", with(json!({"action": "ReEncrypt"}))),
        ("parameters.grant_id", with(json!({"action": "RetireGrant"}))),
    ]
}

/// Field names of a `BadRequest` or of a simulation; indices and quoted names are the caller's own.
fn names_the_field(found: &str, field: &str) -> bool {
    found == field
        || found.starts_with(&format!("{field}["))
        || found.starts_with(&format!("{field}."))
}

#[test]
fn a_hostile_request_is_refused_by_its_field_in_simulations() {
    for (field, request) in requests() {
        let line = json!({"id": 1, "request": request, "documents": [parsed(&key(&format!(r#"{{"Version":"2012-10-17","Statement":[{{{ALLOW}}}]}}"#)))]});
        let answered = answer(&line.to_string(), noon());
        assert_eq!(answered["error"]["kind"], "invalidRequest", "{request}: {answered}");
        let found = answered["error"]["problems"][0]["field"].as_str().expect("a field");
        assert!(names_the_field(found, field), "{found}, not {field}: {request}");
    }
}

#[tokio::test]
async fn a_hostile_request_is_refused_by_its_field_over_grpc() {
    let mut door = Door::open(keyward::engine::snapshot::Snapshot::default()).await;
    for (field, request) in requests() {
        let message: v1::AuthorizeRequest =
            read("AuthorizeRequest", &request.to_string()).expect("a message");
        let status = door.client.authorize(message).await.expect_err("no answer");
        assert_eq!(status.code(), Code::InvalidArgument, "{request}: {status:?}");
        let details = status.get_details_bad_request().expect("details");
        let found = &details.field_violations.first().expect("a field").field;
        assert!(names_the_field(found, field), "{found}, not {field}: {request}");
    }
    door.close().await;
}

#[test]
fn lines_that_are_no_cases_are_answered_in_their_place_and_the_process_goes_on() {
    let good = line("");
    let deep = format!(r#"{{"id":1,"request":{}{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let bad = [
        "\u{feff}{}".to_owned(),
        "null".to_owned(),
        "[]".to_owned(),
        "{".to_owned(),
        "\"\\ud800\"".to_owned(),
        r#"{"id":1,"id":2,"request":{}}"#.to_owned(),
        r#"{"id":1,"request":{},"now":"noon"}"#.to_owned(),
        r#"{"id":1,"request":{},"now":5}"#.to_owned(),
        r#"{"id":1,"request":{},"documents":{}}"#.to_owned(),
        r#"{"id":1,"request":{},"options":{"evaluation.profile":"lenient"}}"#.to_owned(),
        r#"{"id":1,"request":{},"options":{"allow":"everything"}}"#.to_owned(),
        r#"{"id":1,"request":{},"contextOverrides":[]}"#.to_owned(),
        r#"{"id":1,"request":{},"Documents":[]}"#.to_owned(),
        r#"{"id":1,"request":{},"contextoverrides":{"aws:username":null}}"#.to_owned(),
        deep,
    ];
    let lines: Vec<String> = bad.iter().flat_map(|line| [line.clone(), good.clone()]).collect();
    let output = keyward(&["simulate"], &lines.join("\n"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let answers: Vec<Value> = text(&output.stdout).lines().map(parsed).collect();
    assert_eq!(answers.len(), lines.len());
    for (line, pair) in bad.iter().zip(answers.chunks(2)) {
        assert_eq!(pair[0]["error"]["kind"], "invalidCase", "{line}: {}", pair[0]);
        let problem = &pair[0]["error"]["problems"][0];
        assert!(problem["message"].as_str().is_some_and(|text| !text.is_empty()), "{line}");
        assert_eq!(pair[1]["decision"], "allowed", "after {line}");
    }
}
