//! gRPC on a Unix socket. The operating system says who calls: the user id of the peer.

use std::collections::HashMap;

use tonic::transport::server::UdsConnectInfo;
use tonic::{Request, Response, Status};
use tower::ServiceExt as _;

use crate::enforce::Enforce;
use crate::envelope::envelope_service_server::EnvelopeService;
use crate::envelope::{
    DecryptRequest, DecryptResponse, GenerateDataKeyRequest, GenerateDataKeyResponse,
};
use crate::keys::{DataKey, Keys, Operation, Sealed, Wanted};

/// The service.
#[derive(Clone, Debug)]
pub struct Server {
    /// The keys, behind the question.
    pub keys: Enforce<Keys>,
    /// Whom a user id stands for: the ARN of a principal.
    pub principals: HashMap<u32, String>,
}

impl Server {
    /// Who calls.
    fn principal<T>(&self, call: &Request<T>) -> Result<String, Status> {
        let peer = call.extensions().get::<UdsConnectInfo>().and_then(|info| info.peer_cred);
        let unknown = || Status::unauthenticated("nobody is known by this user id");
        peer.and_then(|peer| self.principals.get(&peer.uid())).cloned().ok_or_else(unknown)
    }

    async fn done(&self, operation: Operation) -> Result<DataKey, Status> {
        self.keys.clone().oneshot(operation).await
    }
}

#[tonic::async_trait]
impl EnvelopeService for Server {
    async fn generate_data_key(
        &self,
        call: Request<GenerateDataKeyRequest>,
    ) -> Result<Response<GenerateDataKeyResponse>, Status> {
        let principal = self.principal(&call)?;
        let GenerateDataKeyRequest { key_id, encryption_context } = call.into_inner();
        let wanted = Wanted::DataKey { key_id };
        let key = self.done(Operation { principal, encryption_context, wanted }).await?;
        Ok(Response::new(GenerateDataKeyResponse {
            plaintext: key.plaintext.to_vec(),
            ciphertext_blob: key.sealed.unwrap_or_default(),
            key_arn: key.key_arn,
        }))
    }

    async fn decrypt(
        &self,
        call: Request<DecryptRequest>,
    ) -> Result<Response<DecryptResponse>, Status> {
        let principal = self.principal(&call)?;
        let DecryptRequest { ciphertext_blob, encryption_context } = call.into_inner();
        let wanted = Wanted::Decrypt { sealed: Sealed::parse(&ciphertext_blob)? };
        let key = self.done(Operation { principal, encryption_context, wanted }).await?;
        let plaintext = key.plaintext.to_vec();
        Ok(Response::new(DecryptResponse { plaintext, key_arn: key.key_arn }))
    }
}
