//! True, false, or unsure.

/// What is known of a statement or condition.
///
/// An Allow needs [`Truth::True`]; a Deny applies on [`Truth::True`] and on [`Truth::Unsure`]. So
/// a doubt never allows and always denies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Truth {
    /// It does not hold.
    False,
    /// It cannot be known.
    Unsure,
    /// It holds.
    True,
}

impl Truth {
    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// At least one holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        self.max(other)
    }

    /// The opposite. The opposite of a doubt is a doubt.
    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unsure => Self::Unsure,
            Self::True => Self::False,
        }
    }

    /// [`Truth::Unsure`] unless it is false: for what is supported in a Deny alone.
    #[must_use]
    pub fn doubted(self) -> Self {
        self.min(Self::Unsure)
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{False, True, Unsure};

    #[test]
    fn doubt_survives_unless_the_other_side_settles_it() {
        assert_eq!(Unsure.and(True), Unsure);
        assert_eq!(Unsure.and(False), False);
        assert_eq!(Unsure.or(True), True);
        assert_eq!(Unsure.or(False), Unsure);
        assert_eq!(Unsure.negate(), Unsure);
        assert_eq!((True.doubted(), False.doubted()), (Unsure, False));
    }
}
