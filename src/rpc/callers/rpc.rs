//! The methods that callers are told apart for.

/// A method, or a service whose methods are allowed together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rpc {
    /// `AuthorizationService.Authorize`.
    Authorize,
    /// `AuthorizationService.BatchAuthorize`.
    BatchAuthorize,
    /// `AuthorizationService.AuthorizeStream`.
    AuthorizeStream,
    /// `GrantService`.
    Grants,
    /// The services for operators.
    Operators,
}

impl Rpc {
    /// The methods of `AuthorizationService`, a bit each.
    pub(super) const QUESTIONS: u32 =
        Self::Authorize.bit() | Self::BatchAuthorize.bit() | Self::AuthorizeStream.bit();

    /// Its bit in a set of them.
    pub(super) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// The method of `AuthorizationService` with this name.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "Authorize" => Some(Self::Authorize),
            "BatchAuthorize" => Some(Self::BatchAuthorize),
            "AuthorizeStream" => Some(Self::AuthorizeStream),
            _ => None,
        }
    }

    /// As refusals tell it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Authorize => "Authorize",
            Self::BatchAuthorize => "BatchAuthorize",
            Self::AuthorizeStream => "AuthorizeStream",
            Self::Grants => "GrantService",
            Self::Operators => "the services for operators",
        }
    }
}
