use tonic::Code;

use super::rpc::Rpc;
use super::{Callers, Gate};
use crate::engine::term::time::Timestamp;
use crate::rpc::peer::{Certificate, Identity, Origin, Peer};
use crate::wire::proto::json::read;
use crate::wire::proto::request::request;
use crate::wire::v1::AuthorizeRequest;

const FILE: &str = r#"
[[caller]]
name = "shop"
spiffe = "spiffe://prod.example/ns/shop/sa/{account}"
principals = ["arn:aws:sts::111122223333:assumed-role/{account}/*"]

[[caller]]
name = "storage"
subject = "CN=storage, O=Example"
principals = ["*"]
rpcs = ["Authorize"]
assert = ["encryption_context", "tags", "aws:Source*", "service_principals", "detail"]
requests_per_second = 2

[[caller]]
name = "key service"
uid = 1000
principals = ["*"]
assert = ["*"]
grants = true

[[caller]]
name = "mesh"
network = "10.1.0.0/16"
principals = ["arn:aws:iam::111122223333:user/**"]
"#;

fn network(address: &str) -> Origin {
    Origin::of(address.parse().unwrap())
}

fn certificate(spiffe: Option<&str>, subject: &str) -> Identity {
    Identity::Certificate(Certificate { spiffe: spiffe.map(Into::into), subject: subject.into() })
}

fn shop(account: &str) -> Peer {
    let id = format!("spiffe://prod.example/ns/shop/sa/{account}");
    Peer::new(network("10.9.9.9"), certificate(Some(&id), "CN=x"))
}

fn gate() -> Gate {
    Gate::new(Callers::read(FILE, true).unwrap())
}

/// The status of asking something.
fn ask(gate: &Gate, peer: &Peer, question: &str) -> Code {
    let message: AuthorizeRequest = read("AuthorizeRequest", question).unwrap();
    let request = request(&message, Timestamp::new(0, 0)).unwrap();
    let asked = gate
        .admit(Some(peer), Rpc::Authorize, 1)
        .and_then(|caller| caller.permit(&request, message.detail != 0));
    asked.map_or_else(|status| status.code(), |()| Code::Ok)
}

fn question(principal: &str, more: &str) -> String {
    format!(
        r#"{{"principal":{{"arn":"{principal}"}},"action":"kms:Decrypt","keyId":"alias/k"{more}}}"#
    )
}

const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/Orders/i-1";

#[test]
fn a_sidecar_for_one_service_cannot_ask_as_another() {
    let gate = gate();
    assert_eq!(ask(&gate, &shop("Orders"), &question(SESSION, "")), Code::Ok);
    for other in ["Billing", "Order", "Orders2"] {
        assert_eq!(ask(&gate, &shop(other), &question(SESSION, "")), Code::PermissionDenied);
    }
    let elsewhere = Peer::new(
        network("10.9.9.9"),
        certificate(Some("spiffe://prod.example/ns/other/sa/Orders"), "CN=x"),
    );
    assert_eq!(ask(&gate, &elsewhere, &question(SESSION, "")), Code::PermissionDenied);
}

#[test]
fn a_named_caller_may_claim_little_unless_its_entry_says_more() {
    let gate = gate();
    let narrow = |more: &str| ask(&gate, &shop("Orders"), &question(SESSION, more));
    for fine in [
        r#","encryptionContext":{"a":"b"}"#,
        r#","parameters":{"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#,
        r#","context":{"AWS:sourceip":"192.0.2.1"}"#,
    ] {
        assert_eq!(narrow(fine), Code::Ok, "{fine}");
    }
    for claimed in [
        r#","context":{"aws:SourceVpce":"vpce-1"}"#,
        r#","context":{"saml:sub":"x"}"#,
        r#","multivaluedContext":{"aws:CalledVia":{"values":["x.amazonaws.com"]}}"#,
        r#","viaService":"s3.us-west-2.amazonaws.com""#,
        r#","parameters":{"recipientAttestation":{"PCR1":"00"}}"#,
        r#","detail":"DETAIL_REASON""#,
    ] {
        assert_eq!(narrow(claimed), Code::PermissionDenied, "{claimed}");
    }
    for principal in [
        r#""tags":{"a":"b"}"#,
        r#""userId":"AROAX:i-1""#,
        r#""sourceIdentity":"anna""#,
        r#""roleArn":"arn:aws:iam::111122223333:role/Orders""#,
        r#""sessionPolicies":["{\"Statement\":[]}"]"#,
    ] {
        let question = format!(
            r#"{{"principal":{{"arn":"{SESSION}",{principal}}},"action":"kms:Decrypt","keyId":"alias/k"}}"#
        );
        assert_eq!(ask(&gate, &shop("Orders"), &question), Code::PermissionDenied, "{principal}");
    }
}

#[test]
fn an_entry_says_what_may_be_claimed() {
    let file = FILE.replace("requests_per_second = 2", "");
    let gate = Gate::new(Callers::read(&file, true).unwrap());
    let storage = Peer::new(network("10.9.9.9"), certificate(None, "CN=storage, O=Example"));
    let key = "arn:aws:kms:us-west-2:111122223333:key/k";
    let as_service = |more: &str| {
        format!(
            r#"{{"principal":{{"arn":"s3.amazonaws.com"}},"action":"kms:Decrypt","keyId":"{key}"{more}}}"#
        )
    };
    assert_eq!(ask(&gate, &storage, &as_service("")), Code::Ok);
    let source = r#","context":{"aws:SourceArn":"arn:aws:s3:::b","AWS:SOURCEACCOUNT":"1"}"#;
    assert_eq!(ask(&gate, &storage, &as_service(source)), Code::Ok);
    let other = r#","context":{"aws:UserAgent":"x"}"#;
    assert_eq!(ask(&gate, &storage, &as_service(other)), Code::PermissionDenied);
    let root = question("arn:aws:iam::111122223333:root", "");
    assert_eq!(ask(&gate, &storage, &root), Code::PermissionDenied);
    assert!(gate.admit(Some(&storage), Rpc::BatchAuthorize, 1).is_err());
}

#[test]
fn only_who_is_named_with_grants_manages_them() {
    let gate = gate();
    let named = Peer::new(Origin::Unix, Identity::Unix { uid: 1000 });
    assert!(gate.admit(Some(&named), Rpc::Grants, 1).is_ok());
    assert!(gate.admit(Some(&named), Rpc::Operators, 1).is_err());
    for other in [
        Peer::new(Origin::Unix, Identity::Unix { uid: 1001 }),
        Peer::new(Origin::Loopback, Identity::Nobody),
        shop("Orders"),
    ] {
        let refused = gate.admit(Some(&other), Rpc::Grants, 1).unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
}

#[test]
fn anonymous_callers_exist_on_this_machine_alone_and_can_be_forbidden() {
    let question = question(SESSION, r#","context":{"aws:SourceVpce":"vpce-1"}"#);
    for (anonymous, expected) in [(true, Code::Ok), (false, Code::Unauthenticated)] {
        let gate = Gate::new(Callers::unnamed(anonymous));
        let local = Peer::new(Origin::Loopback, Identity::Nobody);
        assert_eq!(ask(&gate, &local, &question), expected);
        let far = Peer::new(network("10.9.9.9"), Identity::Nobody);
        assert_eq!(ask(&gate, &far, &question), Code::Unauthenticated);
        let socket = Peer::new(Origin::Unix, Identity::Unix { uid: 7 });
        let unnamed = if anonymous { Code::Ok } else { Code::PermissionDenied };
        assert_eq!(ask(&gate, &socket, &question), unnamed);
        assert!(gate.admit(None, Rpc::Authorize, 1).is_err());
    }
}

#[test]
fn a_network_can_be_named_and_proves_no_more_than_that() {
    let gate = gate();
    let user = question("arn:aws:iam::111122223333:user/team/anna", "");
    let inside = Peer::new(network("10.1.2.3"), Identity::Nobody);
    assert_eq!(ask(&gate, &inside, &user), Code::Ok);
    assert_eq!(ask(&gate, &inside, &question(SESSION, "")), Code::PermissionDenied);
    let outside = Peer::new(network("10.2.2.3"), Identity::Nobody);
    assert_eq!(ask(&gate, &outside, &user), Code::Unauthenticated);
}

#[test]
fn a_certificate_is_enough_only_where_no_file_names_callers() {
    let stranger = Peer::new(network("10.9.9.9"), certificate(None, "CN=stranger"));
    let question = question(SESSION, "");
    assert_eq!(ask(&gate(), &stranger, &question), Code::PermissionDenied);
    let open = Gate::new(Callers::unnamed(true));
    assert_eq!(ask(&open, &stranger, &question), Code::Ok);
    open.install(Callers::read(FILE, true).unwrap());
    assert_eq!(ask(&open, &stranger, &question), Code::PermissionDenied);
}

#[test]
fn a_caller_that_is_too_fast_is_told_so() {
    let gate = gate();
    let storage = Peer::new(network("10.9.9.9"), certificate(None, "CN=storage, O=Example"));
    let codes: Vec<Code> = (0..50).map(|_| ask(&gate, &storage, &question(SESSION, ""))).collect();
    assert_eq!(codes[0], Code::Ok);
    assert!(codes.contains(&Code::ResourceExhausted), "{codes:?}");
    assert_eq!(ask(&gate, &shop("Orders"), &question(SESSION, "")), Code::Ok);
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_the_place() {
    #[track_caller]
    fn check(entry: &str, line: usize, message: &str) {
        let error = Callers::read(&format!("[[caller]]\nname = \"a\"\n{entry}"), true).unwrap_err();
        assert!(error.line == line && error.message.contains(message), "{error}");
    }
    check("principals = [\"*\"]\n", 1, "needs one of");
    check("uid = 1\nspiffe = \"spiffe://a\"\nprincipals = [\"*\"]\n", 1, "needs one of");
    check("uid = 1\n", 1, "`principals` is missing");
    check("uid = 1\nprincipals = [\"{account}\"]\n", 4, "does not say what `{account}` is");
    check("uid = 1\nprincipals = [\"*\"]\nrpcs = [\"authorize\"]\n", 5, "`authorize`");
    check("uid = 1\nprincipals = [\"*\"]\nassert = [\"tag\"]\n", 5, "`tag`");
    check("spiffe = \"{a}{b}\"\nprincipals = [\"*\"]\n", 3, "put one behind it");
    check("network = \"10.0.0.0/33\"\nprincipals = [\"*\"]\n", 3, "`10.0.0.0/33`");
    let twice = "[[caller]]\nname = \"a\"\nuid = 1\nprincipals = [\"*\"]\n".repeat(2);
    assert!(Callers::read(&twice, true).unwrap_err().message.contains("two callers"));
}
