//! The service against a real Keyward, and against one that is gone, silent or lost for an answer.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use envelope_service::enforce::EnforceLayer;
use envelope_service::keys::{DataKey, Keys, Operation, Sealed, Wanted};
use envelope_service::{envelope, keyward};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::{Layer as _, ServiceExt as _};

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/2f6c1c1e-0b53-4c1b-9f0a-3a1d0c2b4e5f";
const DOCUMENTS: &str = "arn:aws:sts::111122223333:assumed-role/Documents/i-1";
const ADMINISTRATOR: &str = "arn:aws:sts::111122223333:assumed-role/KeyAdministrator/kay";

/// A binary of the workspace: beside the folder of this one.
fn binary(name: &str) -> PathBuf {
    let path = std::env::current_exe().expect("this binary");
    let path = path.ancestors().nth(2).expect("a target folder").join(name);
    assert!(path.exists(), "no {}: run `cargo build --workspace` first", path.display());
    path
}

/// A running Keyward over `examples/envelope`.
struct Pdp {
    process: Child,
    address: String,
}

impl Pdp {
    fn start() -> Self {
        let policies = concat!(env!("CARGO_MANIFEST_DIR"), "/../envelope");
        let mut process = Command::new(binary("keyward"))
            .args(["serve", "--policies", policies, "--listen", "127.0.0.1:0"])
            .args(["--http-listen", "none", "--log-format", "json"])
            .env_remove("XDG_RUNTIME_DIR")
            .stderr(Stdio::piped())
            .spawn()
            .expect("keyward");
        let lines = BufReader::new(process.stderr.take().expect("standard error")).lines();
        let address = lines
            .map(|line| line.expect("a line"))
            .find_map(|line| {
                let (_, rest) = line.split_once(r#""address":""#)?;
                Some(rest.split('"').next()?.to_owned())
            })
            .expect("an address");
        Self { process, address }
    }

    fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Pdp {
    fn drop(&mut self) {
        self.stop();
    }
}

fn channel(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).expect("an address").connect_lazy()
}

fn operation(principal: &str, tenant: &str, wanted: Wanted) -> Operation {
    let encryption_context: HashMap<String, String> =
        [("tenant".to_owned(), tenant.to_owned())].into();
    Operation { principal: principal.to_owned(), encryption_context, wanted }
}

fn data_key(key_id: &str) -> Wanted {
    Wanted::DataKey { key_id: key_id.to_owned() }
}

/// Long: but for the silent one, these tests are about answers, not about time.
const PATIENCE: Duration = Duration::from_secs(60);

async fn run(channel: &Channel, operation: Operation) -> Result<DataKey, Status> {
    run_within(PATIENCE, channel, operation).await
}

async fn run_within(
    patience: Duration,
    channel: &Channel,
    operation: Operation,
) -> Result<DataKey, Status> {
    let keys = Keys::new([(KEY.to_owned(), &[42; 32][..])]).expect("a key");
    EnforceLayer::new(channel.clone(), patience).layer(keys).oneshot(operation).await
}

#[tokio::test]
async fn data_keys_are_made_and_opened_as_the_policy_says() {
    let pdp = Pdp::start();
    let channel = channel(&pdp.address);
    let made = run(&channel, operation(DOCUMENTS, "acme", data_key("alias/documents"))).await;
    let made = made.expect("allowed");
    assert_eq!(made.key_arn, KEY);
    let blob = made.sealed.expect("a new one");
    let open = |principal: &'static str, tenant: &'static str| {
        let wanted = Wanted::Decrypt { sealed: Sealed::parse(&blob).expect("a sealed key") };
        run(&channel, operation(principal, tenant, wanted))
    };
    let opened = open(DOCUMENTS, "acme").await.expect("allowed");
    assert_eq!(opened.plaintext, made.plaintext);

    // The policy allows this tenant too; the sealed key is bound to the other.
    let crossed = open(DOCUMENTS, "globex").await.expect_err("another context");
    assert_eq!(crossed.code(), Code::InvalidArgument);
    // The policy does not know this tenant, and does not know this user of the key.
    for refused in [open(DOCUMENTS, "initech").await, open(ADMINISTRATOR, "acme").await] {
        let status = refused.expect_err("denied");
        assert_eq!(status.code(), Code::PermissionDenied);
        assert!(status.message().contains("is not authorized to perform: kms:Decrypt"));
    }
}

#[tokio::test]
async fn a_question_that_cannot_be_answered_is_refused() {
    let pdp = Pdp::start();
    let channel = channel(&pdp.address);
    let nobody = run(&channel, operation("nobody", "acme", data_key(KEY))).await;
    assert_eq!(nobody.expect_err("no principal").code(), Code::InvalidArgument);
    let missing = run(&channel, operation(DOCUMENTS, "acme", data_key("alias/nothing"))).await;
    assert_eq!(missing.expect_err("no key").code(), Code::PermissionDenied);
}

#[tokio::test]
async fn without_keyward_nothing_is_done_and_with_it_everything_is_again() {
    let mut pdp = Pdp::start();
    let channel = channel(&pdp.address);
    let wanted = || operation(DOCUMENTS, "acme", data_key(KEY));
    run(&channel, wanted()).await.expect("allowed");
    pdp.stop();
    let refused = run(&channel, wanted()).await.expect_err("nobody to ask");
    assert!(refused.message().starts_with("not authorized"), "{refused}");
}

#[tokio::test]
async fn a_keyward_that_is_silent_allows_nothing() {
    // It takes the connection, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let channel = channel(&silent.local_addr().expect("an address").to_string());
    let wanted = operation(DOCUMENTS, "acme", data_key(KEY));
    let refused = run_within(Duration::from_millis(100), &channel, wanted).await;
    assert_eq!(refused.expect_err("no answer").code(), Code::Unavailable);
}

#[tokio::test]
async fn the_process_knows_its_callers_by_their_user_id() {
    let pdp = Pdp::start();
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::write(path("key"), [42; 32]).expect("a file");
    fs::write(path("keys"), format!("{KEY} {}\n", path("key"))).expect("a file");
    let own = fs::metadata("/proc/self").expect("this process");
    let own = std::os::unix::fs::MetadataExt::uid(&own);
    for (uid, known) in [(own, true), (own + 1, false)] {
        fs::write(path("principals"), format!("{uid} {DOCUMENTS}\n")).expect("a file");
        let socket = path(&format!("{uid}.sock"));
        let mut process = Command::new(env!("CARGO_BIN_EXE_envelope-service"))
            .args([&socket, &format!("http://{}", pdp.address), &path("keys"), &path("principals")])
            .arg(PATIENCE.as_millis().to_string())
            .spawn()
            .expect("the service");
        let mut client = connected(&socket, &mut process).await;
        let request = envelope::GenerateDataKeyRequest {
            key_id: "alias/documents".to_owned(),
            encryption_context: [("tenant".to_owned(), "acme".to_owned())].into(),
        };
        let answer = client.generate_data_key(request).await;
        if known {
            let made = answer.expect("allowed").into_inner();
            let request = envelope::DecryptRequest {
                ciphertext_blob: made.ciphertext_blob,
                encryption_context: [("tenant".to_owned(), "acme".to_owned())].into(),
            };
            let opened = client.decrypt(request).await.expect("allowed").into_inner();
            assert_eq!(opened.plaintext, made.plaintext);
        } else {
            assert_eq!(answer.expect_err("unknown").code(), Code::Unauthenticated);
        }
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// A client, as soon as the service listens.
async fn connected(
    socket: &str,
    process: &mut Child,
) -> envelope::envelope_service_client::EnvelopeServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("unix:{socket}")).expect("an address");
    loop {
        if let Ok(channel) = endpoint.connect().await {
            return envelope::envelope_service_client::EnvelopeServiceClient::new(channel);
        }
        assert_eq!(process.try_wait().expect("a process"), None, "it ended");
        tokio::task::yield_now().await;
    }
}

/// The decision that allows has the number that the layer's own test takes it to have.
#[test]
fn the_protocol_is_the_one_that_the_layer_knows() {
    assert_eq!(keyward::Decision::Allowed as i32, 1);
}
