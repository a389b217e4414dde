//! Refusals in the words of KMS: a status whose `ErrorInfo.reason` is KMS's error code.

use tonic::{Code, Status};

use super::status;
use crate::engine::decide::decision::Answer;
use crate::engine::term::request::InvalidRequest;
use crate::pdp::grants::ChangeError;

/// KMS's error code for what is no fault of the caller.
pub(super) const INTERNAL: &str = "KMSInternalException";

/// A refusal with KMS's error code.
pub(super) fn kms(error_code: &str, message: impl Into<String>) -> Status {
    let code = match error_code {
        "AccessDeniedException" => Code::PermissionDenied,
        "NotFoundException" => Code::NotFound,
        "ValidationException"
        | "InvalidArnException"
        | "InvalidMarkerException"
        | "InvalidGrantTokenException"
        | "InvalidGrantIdException" => Code::InvalidArgument,
        "LimitExceededException" | "ThrottlingException" => Code::ResourceExhausted,
        INTERNAL | "DependencyTimeoutException" => Code::Unavailable,
        // DisabledException, KMSInvalidStateException, UnsupportedOperationException,
        // DryRunOperationException
        _ => Code::FailedPrecondition,
    };
    status::refused(code, error_code, message)
}

/// A denied call, or a dry run that would have succeeded; `None` when it is to be carried out.
pub(super) fn of(answer: &Answer<'_>) -> Option<Status> {
    let error_code = answer.error_code()?;
    Some(kms(error_code, answer.message().unwrap_or_else(|| error_code.to_owned())))
}

/// A field of the request is wrong. Fields of the question that was asked for it are told by the
/// names that they have in the call.
pub(super) fn invalid(error: &InvalidRequest) -> Status {
    let field = error
        .field
        .strip_prefix("parameters.grant.")
        .or_else(|| error.field.strip_prefix("parameters."))
        .unwrap_or(&error.field);
    let field = match field.strip_prefix("principal") {
        Some(rest) if rest.is_empty() || rest.starts_with('.') => format!("caller{rest}"),
        _ => field.to_owned(),
    };
    status::invalid_as("ValidationException", &InvalidRequest::new(field, &*error.message))
}

/// A change of the grants was not made.
pub(super) fn change(error: &ChangeError) -> Status {
    let message = error.to_string();
    match error {
        ChangeError::NotFound { .. } => kms("NotFoundException", message),
        ChangeError::LimitExceeded { .. } => kms("LimitExceededException", message),
        ChangeError::Invalid(_) => kms("ValidationException", message),
        ChangeError::Busy | ChangeError::Overtaken => kms("ThrottlingException", message),
        ChangeError::IdTaken(_)
        | ChangeError::DiskFull
        | ChangeError::Failed(_)
        | ChangeError::Closed => kms(INTERNAL, message),
        // Whether it was made is not known.
        ChangeError::Poisoned(_) => status::refused(Code::Unknown, INTERNAL, message),
    }
}
