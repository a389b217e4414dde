//! Policies that change while the service answers.

mod configmap;
mod ends;
mod folder;
mod incremental;
mod last_good;
mod load;
mod machine;
mod staleness;

use std::path::Path;
use std::process::Command;

use hyper_util::rt::TokioIo;
use keyward::wire::v1;
use keyward::wire::v1::authorization_service_client::AuthorizationServiceClient;
use keyward::wire::v1::policy_service_client::PolicyServiceClient;
use serde_json::json;
use tokio::net::UnixStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::served::Served;

const ACCOUNT: &str = "111122223333";
const KEY: &str = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
const ALICE: &str = "arn:aws:iam::111122223333:user/alice";

/// A key that alice may decrypt with for one tenant.
fn key_for(tenant: &str) -> String {
    json!({"KeyMetadata": {"Arn": KEY}, "Policy": {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "kms:Decrypt", "Resource": "*",
            "Condition": {"StringEquals": {"kms:EncryptionContext:tenant": tenant}}}]}})
    .to_string()
}

fn question(tenant: &str) -> v1::AuthorizeRequest {
    v1::AuthorizeRequest {
        principal: Some(v1::Principal { arn: ALICE.to_owned(), ..v1::Principal::default() }),
        action: "kms:Decrypt".to_owned(),
        key_id: KEY.to_owned(),
        encryption_context: [("tenant".to_owned(), tenant.to_owned())].into(),
        ..v1::AuthorizeRequest::default()
    }
}

/// A service over a folder, with the socket for operators beside it.
struct Watched {
    served: Served,
    admin: Channel,
    status: Streaming<v1::WatchPolicySetStatusResponse>,
    _sockets: tempfile::TempDir,
}

impl Watched {
    async fn start(policies: &Path, more: &[&str]) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_keyward")), policies, more).await
    }

    /// Starts it by a command that is given the arguments.
    async fn start_by(command: Command, policies: &Path, more: &[&str]) -> Self {
        let sockets = tempfile::tempdir().expect("a folder");
        let path = sockets.path().join("admin.sock");
        let address = format!("unix:{}", path.display());
        let policies = policies.to_str().expect("UTF-8");
        let more = [&["--admin-listen", &address], more].concat();
        let served = Served::over_by(command, policies, "127.0.0.1:0", &more);
        let admin = Endpoint::from_static("http://localhost")
            .connect_with_connector(tower::service_fn(move |_| {
                let path = path.clone();
                async move { UnixStream::connect(path).await.map(TokioIo::new) }
            }))
            .await
            .expect("the socket");
        let mut client = PolicyServiceClient::new(admin.clone());
        let status = client.watch_policy_set_status(v1::WatchPolicySetStatusRequest {}).await;
        let status = status.expect("a stream").into_inner();
        Self { served, admin, status, _sockets: sockets }
    }

    /// Waits until the status is as wanted.
    async fn until(
        &mut self,
        wanted: impl Fn(&v1::PolicySetStatus) -> bool,
    ) -> v1::PolicySetStatus {
        let waiting = async {
            loop {
                let told = self.status.message().await.expect("a status").expect("no end");
                let status = told.status.expect("a status");
                if wanted(&status) {
                    return status;
                }
            }
        };
        let most = std::time::Duration::from_secs(60);
        tokio::time::timeout(most, waiting).await.expect("a status as wanted")
    }

    async fn status(&self) -> v1::PolicySetStatus {
        let mut client = PolicyServiceClient::new(self.admin.clone());
        let told = client.get_policy_set_status(v1::GetPolicySetStatusRequest {}).await;
        told.expect("an answer").into_inner().status.expect("a status")
    }

    async fn reload(&self) -> v1::PolicySetStatus {
        let mut client = PolicyServiceClient::new(self.admin.clone());
        let told = client.reload_policy_set(v1::ReloadPolicySetRequest {}).await;
        told.expect("an answer").into_inner().status.expect("a status")
    }

    async fn client(&self) -> AuthorizationServiceClient<Channel> {
        let address = format!("http://{}", self.served.address);
        AuthorizationServiceClient::connect(address).await.expect("a connection")
    }

    async fn decision(&self, tenant: &str) -> v1::Decision {
        let answer = self.client().await.authorize(question(tenant)).await;
        answer.expect("an answer").into_inner().decision()
    }
}

/// The revision of a set of documents, from the library.
fn revision(documents: &[&str]) -> String {
    use keyward::engine::bundle::{Document, Options};
    let documents: Vec<Document> = documents
        .iter()
        .enumerate()
        .map(|(n, text)| Document { name: format!("{n}.json").into(), text: (*text).into() })
        .collect();
    let built = keyward::engine::snapshot::build::build(&documents, &Options::default());
    built.expect("a valid set").snapshot.revision.to_string()
}

/// What the health service says of one of its services.
async fn health(
    channel: &Channel,
    service: &str,
) -> tonic_health::pb::health_check_response::ServingStatus {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let request = HealthCheckRequest { service: service.to_owned() };
    let answer = HealthClient::new(channel.clone()).check(request).await;
    answer.expect("an answer").into_inner().status()
}
