//! VPC endpoints, as `ec2 describe-vpc-endpoints` prints them.

use std::sync::Arc;

use super::reading::Reading;
use super::revision::Holds;
use crate::engine::json::Json;
use crate::engine::policy::{Policy, PolicyKind};

/// The policy of an endpoint.
pub(super) type Endpoint = Arc<Policy>;

impl Reading<'_> {
    /// A VPC endpoint. Without `PolicyDocument` its policy would be anyone's guess.
    ///
    /// Source: Amazon EC2 API Reference, `VpcEndpoint`; AWS KMS Developer Guide, "Connect to AWS KMS
    /// through a VPC endpoint".
    pub(super) fn endpoint(&mut self, item: &Json<'_>) {
        if !self.is_object(item, "VpcEndpoints") {
            return;
        }
        let errors = self.said.problems.len();
        let id = self.required_text(item, "VpcEndpointId");
        let document = self.member(item, "PolicyDocument");
        if document.is_none() && !carries_policy(self.text(item, "VpcEndpointType")) {
            return;
        }
        if document.is_none() {
            let help = "`describe-vpc-endpoints` prints the default policy too";
            self.error("missing-member", "the endpoint has no `PolicyDocument`", help, item.span);
        }
        let policy =
            document.and_then(|json| self.policy(PolicyKind::Endpoint, "PolicyDocument", json));
        let policy = policy.filter(|_| self.no_error_since(errors));
        let Some(id) = id else { return };
        let digest = self.fingerprint("endpoint", id, item, |_| true, Holds::Policies);
        self.add(|said| &mut said.endpoints, ("VPC endpoint", id), id, (digest, item.span), policy);
    }
}

/// Whether endpoints of this type carry a policy: only those can lead to KMS.
///
/// Source: AWS PrivateLink Guide, "Control access to VPC endpoints using endpoint policies".
fn carries_policy(kind: Option<&str>) -> bool {
    !matches!(kind, Some("GatewayLoadBalancer" | "Resource" | "ServiceNetwork"))
}
