//! Three-valued truth. Where something cannot be known, it never allows and always denies.

/// The answer of a match or a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    True,
    False,
    Unsure,
}

use Truth::{False, True, Unsure};

impl Truth {
    pub(crate) fn of(fact: bool) -> Self {
        if fact { True } else { False }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (False, _) | (_, False) => False,
            (Unsure, _) | (_, Unsure) => Unsure,
            (True, True) => True,
        }
    }

    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (True, _) | (_, True) => True,
            (Unsure, _) | (_, Unsure) => Unsure,
            (False, False) => False,
        }
    }

    pub(crate) fn not(self) -> Self {
        match self {
            True => False,
            False => True,
            Unsure => Unsure,
        }
    }

    /// What would be true is unsure; what is false stays false.
    pub(crate) fn doubted(self) -> Self {
        self.and(Unsure)
    }

    pub(crate) fn all(facts: impl IntoIterator<Item = Self>) -> Self {
        facts.into_iter().fold(True, Self::and)
    }

    pub(crate) fn any(facts: impl IntoIterator<Item = Self>) -> Self {
        facts.into_iter().fold(False, Self::or)
    }

    /// An Allow needs true.
    pub(crate) fn is_enough_to_allow(self) -> bool {
        self == True
    }

    /// A Deny applies on true and on unsure.
    pub(crate) fn is_enough_to_deny(self) -> bool {
        self != False
    }
}
