//! Health: alive, ready, and whether the last reload succeeded.

use std::sync::Arc;

use tokio::sync::watch;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::pdp::status::Status;
use crate::wire::v1::authorization_service_server::SERVICE_NAME;

/// The health service that says whether the last reload succeeded.
const POLICY_HEALTH: &str = "keyward.policy";

/// Says how it is.
pub(super) async fn tell(health: &HealthReporter, status: &Status) {
    let serving = |well| if well { ServingStatus::Serving } else { ServingStatus::NotServing };
    health.set_service_status("", ServingStatus::Serving).await;
    health.set_service_status(SERVICE_NAME, serving(status.is_ready())).await;
    health.set_service_status(POLICY_HEALTH, serving(status.is_current())).await;
}

/// Says how it is whenever that changes, until the service drains.
pub(super) async fn follow(health: &HealthReporter, mut status: watch::Receiver<Arc<Status>>) {
    while status.changed().await.is_ok() {
        let now = Arc::clone(&status.borrow_and_update());
        tell(health, &now).await;
    }
    // Nobody changes it any more; what was told last stays true.
    std::future::pending::<()>().await;
}

/// Says nothing more: whoever watches is told so by the end of the stream.
pub(super) async fn end(mut health: HealthReporter) {
    for service in ["", SERVICE_NAME, POLICY_HEALTH] {
        health.clear_service_status(service).await;
    }
}

/// Says that no new calls should come.
pub(super) async fn drain(health: &HealthReporter) {
    health.set_service_status(SERVICE_NAME, ServingStatus::NotServing).await;
}
