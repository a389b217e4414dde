//! Who may come in: certificates, callers, and what they may ask, over real connections.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use keyward::rpc::callers::Callers;
use keyward::wire::v1;
use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use keyward::wire::v1::grant_service_client::GrantServiceClient;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType,
};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

use crate::decision_log::{question, records};
use crate::doors::{keyward, text};
use crate::served::{Served, run};

const ANY: &str = "127.0.0.1:0";

const CALLERS: &str = r#"
[[caller]]
name = "shop"
spiffe = "spiffe://prod.example/ns/shop/sa/{role}"
principals = ["arn:aws:sts::111122223333:assumed-role/{role}/*"]

[[caller]]
name = "key service"
spiffe = "spiffe://prod.example/ns/kms/sa/kms"
principals = ["*"]
assert = ["*"]
grants = true
"#;

/// A certificate authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate and its key, as PEM.
    fn issue(&self, name: SanType, purpose: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.subject_alt_names = vec![name];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn server(&self) -> (String, String) {
        let address = SanType::IpAddress("127.0.0.1".parse().expect("an address"));
        self.issue(address, ExtendedKeyUsagePurpose::ServerAuth)
    }

    pub(crate) fn client(&self, id: &str) -> (String, String) {
        let id = SanType::URI(id.try_into().expect("an id"));
        self.issue(id, ExtendedKeyUsagePurpose::ClientAuth)
    }
}

/// The files of a service with mutual TLS.
pub(crate) struct Files {
    folder: tempfile::TempDir,
    pub(crate) args: Vec<String>,
}

impl Files {
    pub(crate) fn new(authority: &Authority, callers: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let files = Self { folder, args: Vec::new() };
        files.certify(authority, authority);
        files.write("callers.toml", callers);
        let path = |name: &str| files.path(name).display().to_string();
        let args = [
            ("--callers", path("callers.toml")),
            ("--tls-cert", path("server.pem")),
            ("--tls-key", path("server.key")),
            ("--tls-client-ca", path("ca.pem")),
            ("--poll-interval", "10ms".to_owned()),
        ];
        let args = args.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect();
        Self { args, ..files }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let next = self.path("next");
        fs::write(&next, content).expect("a file");
        fs::rename(&next, self.path(name)).expect("a file");
    }

    /// A new certificate for the server, and a CA for clients.
    fn certify(&self, server: &Authority, clients: &Authority) {
        let (certificate, key) = server.server();
        self.write("server.key", &key);
        self.write("server.pem", &certificate);
        self.write("ca.pem", &clients.pem());
    }

    fn start(&self, more: &[&str]) -> Served {
        let args = self.args.iter().map(String::as_str).chain(more.iter().copied());
        Served::start(ANY, &args.collect::<Vec<_>>())
    }
}

/// A connection of a client.
async fn connect(
    address: &str,
    server: &Authority,
    (certificate, key): &(String, String),
) -> Result<Channel, tonic::transport::Error> {
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(server.pem()))
        .identity(Identity::from_pem(certificate, key));
    Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls)?.connect().await
}

async fn code(
    client: &mut AuthorizationServiceClient<Channel>,
    question: v1::AuthorizeRequest,
) -> Code {
    client.authorize(question).await.map_or_else(|status: Status| status.code(), |_| Code::Ok)
}

fn about(principal: &str) -> v1::AuthorizeRequest {
    let mut question = question("42");
    question.principal.as_mut().expect("a principal").arn = principal.to_owned();
    question
}

const ORDERS: &str = "arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc";
const OTHER: &str = "arn:aws:sts::111122223333:assumed-role/Another/i-0abc";
const SHOP: &str = "spiffe://prod.example/ns/shop/sa/OrdersService";
const KMS: &str = "spiffe://prod.example/ns/kms/sa/kms";

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_asks_about_its_own_principals_and_claims_what_it_may() {
    let authority = Authority::new();
    let files = Files::new(&authority, CALLERS);
    let log = files.path("log.jsonl");
    let sink = format!("file:{}", log.display());
    let served = files.start(&["--decision-log", &sink, "--http-listen", ANY]);
    let channel = connect(&served.address, &authority, &authority.client(SHOP)).await;
    let channel = channel.expect("a connection");
    let mut shop = AuthorizationServiceClient::new(channel.clone());

    let allowed = shop.authorize(about(ORDERS)).await.expect("an answer").into_inner();
    assert_eq!(allowed.decision(), v1::Decision::Allowed);
    // Another principal, or a claim that is not its own to make, is no question it may ask.
    let mut tagged = about(ORDERS);
    tagged.principal.as_mut().expect("a principal").tags =
        [("team".to_owned(), "blue".to_owned())].into();
    let via = v1::AuthorizeRequest {
        via_service: "s3.us-west-2.amazonaws.com".to_owned(),
        ..about(ORDERS)
    };
    let explained = v1::AuthorizeRequest { detail: v1::Detail::Full.into(), ..about(ORDERS) };
    for refused in [about(OTHER), tagged, via, explained] {
        assert_eq!(code(&mut shop, refused.clone()).await, Code::PermissionDenied, "{refused:?}");
    }
    // Each message of a stream and each item of a batch by itself.
    let items = [ORDERS, OTHER, ORDERS].map(about);
    let batch = v1::BatchAuthorizeRequest { requests: items.to_vec(), ..Default::default() };
    let batch = shop.batch_authorize(batch).await.expect("an answer").into_inner();
    let answered = |item: &v1::BatchAuthorizeItem| {
        matches!(item.result, Some(v1::batch_authorize_item::Result::Response(_)))
    };
    assert_eq!(batch.items.iter().map(answered).collect::<Vec<_>>(), [true, false, true]);
    let messages = items
        .into_iter()
        .zip(1_u64..)
        .map(|(request, id)| v1::AuthorizeStreamRequest { id, request: Some(request) });
    let answers = shop.authorize_stream(tokio_stream::iter(messages.collect::<Vec<_>>())).await;
    let answers: Vec<_> = answers.expect("a stream").into_inner().collect().await;
    let answered = |answer: &Result<v1::AuthorizeStreamResponse, Status>| {
        let answer = answer.as_ref().expect("an answer");
        matches!(answer.result, Some(v1::authorize_stream_response::Result::Response(_)))
    };
    assert_eq!(answers.iter().map(answered).collect::<Vec<_>>(), [true, false, true]);
    // Grants are not for it.
    let mut grants = GrantServiceClient::new(channel);
    let refused = grants.list_grants(v1::ListGrantsRequest::default()).await.expect_err("grants");
    assert_eq!(refused.code(), Code::PermissionDenied);

    // Who may do everything may also keep grants; without a database that is another error.
    let kms = connect(&served.address, &authority, &authority.client(KMS)).await;
    let kms = kms.expect("a connection");
    let mut asking = AuthorizationServiceClient::new(kms.clone());
    assert_eq!(code(&mut asking, about(OTHER)).await, Code::Ok);
    let mut grants = GrantServiceClient::new(kms);
    let refused = grants.list_grants(v1::ListGrantsRequest::default()).await.expect_err("nothing");
    assert_ne!(refused.code(), Code::PermissionDenied);

    // A certificate that the CA vouches for and that the file does not name.
    let stranger = authority.client("spiffe://prod.example/ns/shop/sub/x");
    let stranger = connect(&served.address, &authority, &stranger).await.expect("a connection");
    let mut stranger = AuthorizationServiceClient::new(stranger);
    assert_eq!(code(&mut stranger, about(ORDERS)).await, Code::PermissionDenied);
    assert!(served.metric("keyward_refused_total", "caller_unknown") >= 1);
    assert!(served.metric("keyward_refused_total", "caller_forbidden") >= 4);
    served.stop();
    let callers: Vec<_> = records(&log)
        .iter()
        .filter_map(|record| record["keyward"]["caller"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(callers, ["shop", "shop", "shop", "shop", "shop", "key service"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_of_the_client_ca_nobody_comes_in() {
    let authority = Authority::new();
    let files = Files::new(&authority, CALLERS);
    let served = files.start(&[]);
    let foreign = Authority::new().client(SHOP);
    // In TLS 1.3 the client learns that it was refused when it uses the connection.
    if let Ok(channel) = connect(&served.address, &authority, &foreign).await {
        let mut client = AuthorizationServiceClient::new(channel);
        assert_ne!(code(&mut client, about(ORDERS)).await, Code::Ok);
    }
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem()));
    let endpoint = Endpoint::from_shared(format!("https://{}", served.address)).expect("a URI");
    if let Ok(channel) = endpoint.tls_config(tls).expect("TLS").connect().await {
        let mut client = AuthorizationServiceClient::new(channel);
        assert_ne!(code(&mut client, about(ORDERS)).await, Code::Ok);
    }
    let plain = AuthorizationServiceClient::connect(format!("http://{}", served.address)).await;
    if let Ok(mut client) = plain {
        assert_ne!(code(&mut client, about(ORDERS)).await, Code::Ok);
    }
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_callers_file_is_taken_over_and_a_broken_one_is_not() {
    let authority = Authority::new();
    let files = Files::new(&authority, CALLERS);
    let served = files.start(&["--http-listen", ANY]);
    let channel = connect(&served.address, &authority, &authority.client(SHOP)).await;
    let mut shop = AuthorizationServiceClient::new(channel.expect("a connection"));
    assert_eq!(code(&mut shop, about(ORDERS)).await, Code::Ok);
    files.write("callers.toml", "[[caller]\n");
    served.wait_until("the broken file is told of", |served| {
        served.metric("keyward_access_reload_total", "failure") == 1
    });
    assert_eq!(code(&mut shop, about(ORDERS)).await, Code::Ok);
    files.write("callers.toml", &CALLERS.replace("ns/shop", "ns/elsewhere"));
    served.wait_until("the file is taken over", |served| {
        served.metric("keyward_access_reload_total", "success") == 1
    });
    // The connection is the old one; what counts is the file of now.
    assert_eq!(code(&mut shop, about(ORDERS)).await, Code::PermissionDenied);
    let told = served.stop_and_read();
    assert!(told.contains("callers.toml:1:"), "{told}");
}

/// A client that asks without a pause, over a connection that stays and over one new one after the
/// other.
struct Asking {
    /// Calls over new connections that were answered.
    calls: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Asking {
    fn start(address: &str, authority: &Arc<Authority>, stop: &Arc<AtomicBool>) -> Self {
        let calls = Arc::new(AtomicU64::new(0));
        let (address, authority) = (address.to_owned(), Arc::clone(authority));
        let (stop, counted) = (Arc::clone(stop), Arc::clone(&calls));
        let task = tokio::spawn(async move {
            let identity = authority.client(SHOP);
            let client = async || {
                let channel = connect(&address, &authority, &identity).await;
                AuthorizationServiceClient::new(channel.expect("a connection"))
            };
            let mut kept = client().await;
            while !stop.load(Ordering::Acquire) {
                let (mut fresh, other) = (client().await, &mut kept);
                let (new, old) =
                    tokio::join!(fresh.authorize(about(ORDERS)), other.authorize(about(ORDERS)));
                for answer in [new, old] {
                    let answer = answer.expect("an answer").into_inner();
                    assert_eq!(answer.decision(), v1::Decision::Allowed);
                }
                counted.fetch_add(1, Ordering::Release);
            }
        });
        Self { calls, task }
    }

    /// Waits for so many more calls over new connections.
    async fn more(&self, count: u64) {
        let goal = self.calls.load(Ordering::Acquire) + count;
        while self.calls.load(Ordering::Acquire) < goal {
            assert!(!self.task.is_finished(), "a client was not answered");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_replaced_under_load_without_a_failed_call() {
    let authority = Arc::new(Authority::new());
    let files = Files::new(&authority, CALLERS);
    let served = files.start(&["--http-listen", ANY]);
    let identity = authority.client(SHOP);
    let replaced = |count| {
        move |served: &Served| {
            served.metric("keyward_access_reload_total", "file=\"certificate\",result=\"success\"")
                >= count
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> =
        (0..4).map(|_| Asking::start(&served.address, &authority, &stop)).collect();
    for count in 1..=5 {
        // Files are replaced one by one: what does not fit together is not taken over.
        files.certify(&authority, &authority);
        while !replaced(count)(&served) {
            clients[0].more(1).await;
        }
        for client in &clients {
            client.more(3).await;
        }
    }
    stop.store(true, Ordering::Release);
    for client in clients {
        client.task.await.expect("every call was answered");
    }
    // A new CA for clients: the old identity makes no new connection.
    let other = Authority::new();
    let before =
        served.metric("keyward_access_reload_total", "file=\"certificate\",result=\"success\"");
    files.write("ca.pem", &other.pem());
    served.wait_until("the CA is taken over", replaced(before + 1));
    if let Ok(channel) = connect(&served.address, &authority, &identity).await {
        let mut client = AuthorizationServiceClient::new(channel);
        assert_ne!(code(&mut client, about(ORDERS)).await, Code::Ok);
    }
    let new = connect(&served.address, &authority, &other.client(SHOP)).await;
    let mut new = AuthorizationServiceClient::new(new.expect("a connection"));
    assert_eq!(code(&mut new, about(ORDERS)).await, Code::Ok);
    assert!(served.metric("keyward_tls_certificate_expiry_timestamp_seconds", "") > 1_700_000_000);
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_certificate_is_told_once_and_the_one_before_goes_on() {
    let authority = Authority::new();
    let files = Files::new(&authority, CALLERS);
    let served = files.start(&["--http-listen", ANY]);
    files.write("server.pem", "nothing");
    let label = "file=\"certificate\",result=\"failure\"";
    served.wait_until("the broken file is told of", |served| {
        served.metric("keyward_access_reload_total", label) == 1
    });
    // The callers file is looked at before the certificate: this is a later look.
    files.write("callers.toml", &format!("{CALLERS}# changed\n"));
    served.wait_until("the files were looked at again", |served| {
        served.metric("keyward_access_reload_total", "file=\"callers\",result=\"success\"") == 1
    });
    let identity = authority.client(SHOP);
    let channel = connect(&served.address, &authority, &identity).await.expect("a connection");
    assert_eq!(code(&mut AuthorizationServiceClient::new(channel), about(ORDERS)).await, Code::Ok);
    assert_eq!(served.metric("keyward_access_reload_total", label), 1);
    let told = served.stop_and_read();
    assert_eq!(told.matches("the certificate files cannot be used").count(), 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_anonymous_where_the_flag_says_so() {
    let served = Served::start(ANY, &["--anonymous", "false"]);
    let mut client = AuthorizationServiceClient::connect(format!("http://{}", served.address))
        .await
        .expect("a connection");
    assert_eq!(code(&mut client, about(ORDERS)).await, Code::Unauthenticated);
    served.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_of_a_unix_socket_is_known_by_its_uid_and_held_to_its_rate() {
    let folder = tempfile::tempdir().expect("a folder");
    let uid = fs::metadata(folder.path()).map(|it| std::os::unix::fs::MetadataExt::uid(&it));
    let uid = uid.expect("a folder");
    let callers = folder.path().join("callers.toml");
    let written = format!(
        "[[caller]]\nname = \"sidecar\"\nuid = {uid}\nprincipals = [\"{ORDERS}\"]\nrequests_per_second = 3\n"
    );
    fs::write(&callers, written).expect("a file");
    let socket = format!("unix:{}", folder.path().join("pdp.sock").display());
    let served = Served::start(&socket, &["--callers", callers.to_str().expect("UTF-8")]);
    let channel = Endpoint::from_shared(socket).expect("a URI").connect().await;
    let mut client = AuthorizationServiceClient::new(channel.expect("a connection"));
    assert_eq!(code(&mut client, about(OTHER)).await, Code::PermissionDenied);
    // A batch counts as what is in it.
    let batch =
        v1::BatchAuthorizeRequest { requests: vec![about(ORDERS); 4], ..Default::default() };
    let refused = client.batch_authorize(batch).await.expect_err("more than its rate");
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("smaller ones"), "{refused:?}");
    let mut seen = Vec::new();
    for _ in 0..50 {
        seen.push(code(&mut client, about(ORDERS)).await);
    }
    assert!(seen.contains(&Code::Ok) && seen.contains(&Code::ResourceExhausted), "{seen:?}");
    served.stop();
}

#[test]
fn the_callers_file_of_the_page_can_be_used() {
    let page = fs::read_to_string("docs/callers.md").expect("the page");
    let example = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
    let callers = Callers::read(example.expect("an example"), true).expect("callers");
    assert_eq!(callers.len(), 4);
}

#[test]
fn what_would_let_anybody_in_is_refused_at_the_start() {
    let start = |args: &[&str]| {
        let all =
            [&["serve", "--policies", "examples/quickstart", "--check-config"], args].concat();
        let output = keyward(&all, "");
        (output.status.code(), text(&output.stderr))
    };
    let (code, told) = start(&["--listen", "0.0.0.0:7180"]);
    assert_eq!(code, Some(64), "{told}");
    assert!(told.contains("--tls-cert"), "{told}");
    let (code, told) = start(&["--admin-listen", "127.0.0.1:7182"]);
    assert_eq!(code, Some(64), "{told}");
    assert!(told.contains("admin = true"), "{told}");
    let (code, told) = start(&["--tls-cert", "a.pem"]);
    assert_eq!(code, Some(64), "{told}");
    assert!(told.contains("--tls-key"), "{told}");
    let (code, told) = start(&["--limits-calls", "0"]);
    assert_eq!(code, Some(64), "{told}");
}

#[test]
fn health_is_asked_from_the_command_line() {
    let authority = Authority::new();
    let files = Files::new(&authority, CALLERS);
    let (certificate, key) = authority.client("spiffe://prod.example/probe");
    files.write("probe.pem", &certificate);
    files.write("probe.key", &key);
    files.write("server-ca.pem", &authority.pem());
    let path = |name: &str| files.path(name).display().to_string();
    let health = |args: &[&str]| {
        let output = keyward(&[&["health"], args].concat(), "");
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let socket = format!("unix:{}", path("pdp.sock"));
    let plain = Served::start(&socket, &[]);
    for of in ["alive", "ready", "policies"] {
        let (code, told) = health(&["--address", &socket, "--of", of]);
        assert_eq!((code, &*told), (Some(0), &*format!("{of}: SERVING\n")));
    }
    plain.stop();
    let (code, told) = health(&["--address", &socket, "--format", "json"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("\"status\":\"UNKNOWN\""), "{told}");
    let served = files.start(&[]);
    let address = ["--address", &served.address];
    let (ca, cert, key) = (path("server-ca.pem"), path("probe.pem"), path("probe.key"));
    let proven = ["--tls-ca", &ca, "--tls-cert", &cert, "--tls-key", &key];
    let (code, told) = health(&[&address[..], &proven].concat());
    assert_eq!((code, &*told), (Some(0), "ready: SERVING\n"));
    let (code, _) = health(&address);
    assert_eq!(code, Some(1));
    served.stop();
}

/// What an operator does through TLS: with a certificate that the callers file makes one of an
/// operator.
#[tokio::test(flavor = "multi_thread")]
async fn operators_come_in_over_tls_when_the_callers_file_says_so() {
    let authority = Authority::new();
    let callers = format!(
        "{CALLERS}\n[[caller]]\nname = \"operator\"\nspiffe = \"spiffe://prod.example/ops\"\nadmin = true\n"
    );
    let files = Files::new(&authority, &callers);
    let admin = free_port();
    let served = files.start(&["--admin-listen", &admin]);
    let (cert, key) = authority.client("spiffe://prod.example/ops");
    files.write("ops.pem", &cert);
    files.write("ops.key", &key);
    files.write("server-ca.pem", &authority.pem());
    let (cert, key) = authority.client(KMS);
    files.write("kms.pem", &cert);
    files.write("kms.key", &key);
    let status = |who: &str| {
        let path = |name: String| files.path(&name).display().to_string();
        let (ca, cert, key) = (
            path("server-ca.pem".to_owned()),
            path(format!("{who}.pem")),
            path(format!("{who}.key")),
        );
        let output = run(
            "grpcurl",
            &[
                "-cacert",
                &ca,
                "-cert",
                &cert,
                "-key",
                &key,
                &admin,
                "keyward.v1.PolicyService/GetPolicySetStatus",
            ],
        );
        (output.status.success(), text(&output.stdout) + &text(&output.stderr))
    };
    let (done, told) = status("ops");
    assert!(done && told.contains("POLICY_SET_STATE_CURRENT"), "{told}");
    let (done, told) = status("kms");
    assert!(!done && told.contains("may not call the services for operators"), "{told}");
    served.stop();
}

/// A port that nobody listens on just now.
fn free_port() -> String {
    let listener = std::net::TcpListener::bind(ANY).expect("a port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn shells_and_man_are_served() {
    for shell in ["bash", "zsh", "fish"] {
        let output = keyward(&["completions", shell], "");
        assert!(output.status.success());
        assert!(text(&output.stdout).contains("tls-client-ca"), "{shell}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let output = keyward(&["man", "--dir", folder.path().to_str().expect("UTF-8")], "");
    assert!(output.status.success());
    let page =
        fs::read_to_string(Path::new(folder.path()).join("keyward-serve.1")).expect("a page");
    assert!(page.contains("tls\\-client\\-ca"), "{page}");
}
