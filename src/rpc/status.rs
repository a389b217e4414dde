//! Why there is no answer.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _, pb};

use crate::engine::term::request::InvalidRequest;

/// Who speaks in error details.
const DOMAIN: &str = "keyward";

/// The request is wrong: `INVALID_ARGUMENT` and the field.
#[must_use]
pub fn invalid(error: &InvalidRequest) -> Status {
    invalid_as("INVALID_REQUEST", error)
}

/// The request is wrong, with a reason for programs.
#[must_use]
pub fn invalid_as(reason: &str, error: &InvalidRequest) -> Status {
    let mut details = ErrorDetails::new();
    details.add_bad_request_violation(&*error.field, &*error.message);
    details.set_error_info(reason, DOMAIN, [("field".to_owned(), error.field.clone())]);
    Status::with_error_details(Code::InvalidArgument, error.to_string(), details)
}

/// Any other refusal, with a reason for programs.
#[must_use]
pub fn refused(code: Code, reason: &str, message: impl Into<String>) -> Status {
    let mut details = ErrorDetails::new();
    details.set_error_info(reason, DOMAIN, []);
    Status::with_error_details(code, message, details)
}

/// A refusal as a message among other answers.
pub(super) fn message(status: &Status) -> pb::Status {
    use prost::Message as _;
    let details =
        pb::Status::decode(status.details()).map(|status| status.details).unwrap_or_default();
    pb::Status { code: i32::from(status.code()), message: status.message().to_owned(), details }
}
