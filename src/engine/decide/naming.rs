//! How policies and grants name a caller.

/// How an Allow names a caller.
///
/// Source: IAM User Guide, "AWS JSON policy elements: Principal" (IAM role principals, role session
/// principals); "Policy evaluation logic" (permissions boundaries, session policies).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Naming {
    /// `*`.
    Star,
    /// The user, session, federated session or service itself.
    Exact,
    /// The role of a session, or the user behind a federated session: boundaries and session
    /// policies limit.
    Behind,
    /// The account: delegation to its IAM policies.
    Account,
}

/// A set of [`Naming`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namings(u8);

impl Namings {
    /// Adds one.
    pub fn insert(&mut self, naming: Naming) {
        self.0 |= 1 << naming as u8;
    }

    /// Whether it is among them.
    #[must_use]
    pub fn has(self, naming: Naming) -> bool {
        self.0 & (1 << naming as u8) != 0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}
