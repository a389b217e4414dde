//! The IAM actions of AWS KMS, and sets of them.

use super::condition_key::RequestKey;
use super::table::{ACTIONS, NAMES, Trait};

pub use super::table::Action;

impl Action {
    /// All actions.
    pub const ALL: &'static [Self] = ACTIONS;

    /// `kms:Decrypt`.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.get(self as usize).map_or("", |(name, _)| name)
    }

    /// `Decrypt`.
    #[must_use]
    pub fn bare(self) -> &'static str {
        NAMES.get(self as usize).map_or("", |(_, bare)| bare)
    }

    /// The action that `name`, with its prefix, is exactly.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::from_bare(name.strip_prefix("kms:")?)
    }

    /// The action that `name`, without prefix, is exactly.
    #[must_use]
    pub fn from_bare(name: &str) -> Option<Self> {
        let action = *BY_SLOT.get(slot(name.as_bytes(), MULTIPLIER))?;
        let action = *ACTIONS.get(usize::from(action))?;
        (action.bare() == name).then_some(action)
    }

    const fn has(self, quality: Trait) -> bool {
        self.row().traits & (1 << quality as u16) != 0
    }

    /// Whether principals of other accounts can be allowed.
    #[must_use]
    pub const fn cross_account(self) -> bool {
        self.has(Trait::CrossAccount)
    }

    /// Whether a grant can permit it.
    #[must_use]
    pub const fn grantable(self) -> bool {
        self.has(Trait::Grantable)
    }

    /// Whether its key may be named by an alias.
    #[must_use]
    pub const fn takes_alias(self) -> bool {
        self.has(Trait::Alias)
    }

    /// Whether its operation takes an encryption context.
    #[must_use]
    pub const fn has_encryption_context(self) -> bool {
        self.has(Trait::Context)
    }

    /// Whether it is a cryptographic operation.
    #[must_use]
    pub const fn is_cryptographic(self) -> bool {
        self.has(Trait::Cryptographic)
    }

    /// Whether its operation has a `DryRun` parameter.
    #[must_use]
    pub const fn accepts_dry_run(self) -> bool {
        self.has(Trait::DryRun)
    }

    /// Whether CloudTrail calls it read-only.
    #[must_use]
    pub const fn is_read_only(self) -> bool {
        self.has(Trait::ReadOnly)
    }

    /// Whether there is an operation of its name.
    #[must_use]
    pub const fn is_operation(self) -> bool {
        !self.has(Trait::ActionOnly)
    }

    /// Whether its requests have a condition key.
    #[must_use]
    pub const fn condition_key(self, key: RequestKey) -> bool {
        self.row().condition_keys & (1 << key as u64) != 0
    }
}

/// Slots of the table by which actions are found; each has at most one action.
const SLOTS: usize = 512;

/// The multiplier that gives every action a slot of its own; tried out when compiled.
const MULTIPLIER: u64 = {
    let mut multiplier = 0x9E37_79B9_7F4A_7C15;
    while collides(multiplier) {
        multiplier += 2;
    }
    multiplier
};

/// The actions by slot; an empty slot has none.
const BY_SLOT: [u8; SLOTS] = {
    let mut slots = [u8::MAX; SLOTS];
    let mut index = 0;
    while index < NAMES.len() {
        #[expect(clippy::indexing_slicing, reason = "in range, and checked when compiled")]
        let slot = &mut slots[slot(NAMES[index].1.as_bytes(), MULTIPLIER)];
        *slot = index as u8;
        index += 1;
    }
    slots
};

/// The slot of a name: of its length and some of its bytes.
const fn slot(name: &[u8], multiplier: u64) -> usize {
    // Names of fewer bytes than eight are short of them at the end.
    let mut word = name.len() as u64;
    let mut at = 0;
    while at < 4 {
        // Of a name's four quarters the first byte, and its last three bytes.
        let (front, back) = (at * name.len() / 4, name.len().wrapping_sub(at + 1));
        #[expect(clippy::indexing_slicing, reason = "tested a line above")]
        if front < name.len() {
            word = (word << 7) ^ name[front] as u64;
        }
        #[expect(clippy::indexing_slicing, reason = "tested a line above")]
        if back < name.len() {
            word = (word << 7) ^ name[back] as u64;
        }
        at += 1;
    }
    (word.wrapping_mul(multiplier) >> 55) as usize
}

const fn collides(multiplier: u64) -> bool {
    let mut taken = [false; SLOTS];
    let mut index = 0;
    while index < NAMES.len() {
        #[expect(clippy::indexing_slicing, reason = "in range, and checked when compiled")]
        let taken = &mut taken[slot(NAMES[index].1.as_bytes(), multiplier)];
        if *taken {
            return true;
        }
        *taken = true;
        index += 1;
    }
    false
}

/// A set of actions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ActionSet(u64);

const _: () = assert!(ACTIONS.len() < 64, "a set of actions has a bit for each");

impl ActionSet {
    /// No action.
    pub const EMPTY: Self = Self(0);
    /// Every action.
    pub const ALL: Self = Self((1 << ACTIONS.len()) - 1);

    /// The actions that an `Action` element of a policy matches, or may match. Case does not count;
    /// `*` and `?` are wildcards.
    ///
    /// Source: IAM User Guide, "IAM JSON policy elements: Action".
    #[must_use]
    pub fn matching(pattern: &str) -> Self {
        if pattern == "*" {
            return Self::ALL;
        }
        let Some((service, name)) = pattern.split_once(':') else { return Self::EMPTY };
        if !wild(service.as_bytes(), b"kms") {
            return Self::EMPTY;
        }
        Action::ALL
            .iter()
            .filter(|action| wild(name.as_bytes(), action.bare().as_bytes()))
            .copied()
            .collect()
    }

    /// One action.
    #[must_use]
    pub const fn of(action: Action) -> Self {
        Self(1 << action as u8)
    }

    /// Whether there is an action in both.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the action is in the set.
    #[must_use]
    pub const fn contains(self, action: Action) -> bool {
        self.0 & (1 << action as u8) != 0
    }

    /// Adds an action.
    pub const fn insert(&mut self, action: Action) {
        self.0 |= 1 << action as u8;
    }

    /// The actions of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The actions of both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// All other actions.
    #[must_use]
    pub const fn complement(self) -> Self {
        Self(!self.0 & Self::ALL.0)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// The actions in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Action> + 'static {
        Action::ALL.iter().copied().filter(move |action| self.contains(*action))
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        let mut set = Self::EMPTY;
        for action in actions {
            set.insert(action);
        }
        set
    }
}

/// Whether `text` matches a pattern with `*` and `?`; the case of ASCII letters does not count.
fn wild(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (None, None) => return true,
            (Some(b'*'), _) => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            (Some(b'?'), Some(_)) => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            (Some(a), Some(b)) if a.eq_ignore_ascii_case(b) => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            _ => {}
        }
        match retry {
            Some((behind, start)) if start < text.len() => {
                (p, t) = (behind, start + 1);
                retry = Some((behind, t));
            }
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, ActionSet};

    #[track_caller]
    fn check(pattern: &str, expected: &[&str]) {
        let found: Vec<&str> = ActionSet::matching(pattern).iter().map(Action::bare).collect();
        assert_eq!(found, expected, "{pattern:?}");
    }

    #[test]
    fn patterns_match_whatever_the_case() {
        check("kms:Decrypt", &["Decrypt"]);
        check("KMS:decrypt", &["Decrypt"]);
        check("kms:ReEncrypt*", &["ReEncryptFrom", "ReEncryptTo"]);
        check("kms:ReEncrypt", &[]);
        check("kms:?ncrypt", &["Encrypt"]);
        check("k*:Sign", &["Sign"]);
        check("s3:*", &[]);
        check("Decrypt", &[]);
        check("kms:*MacX", &[]);
    }

    #[test]
    fn a_star_and_a_complement_cover_everything() {
        assert_eq!(ActionSet::matching("*"), ActionSet::ALL);
        assert_eq!(ActionSet::matching("kms:*"), ActionSet::ALL);
        assert!(ActionSet::ALL.complement().is_empty());
        assert_eq!(
            ActionSet::matching("kms:Decrypt").complement().len() as usize,
            Action::ALL.len() - 1
        );
    }

    #[test]
    fn every_action_has_its_own_name_and_place() {
        for (index, action) in Action::ALL.iter().enumerate() {
            assert_eq!(*action as usize, index);
            assert_eq!(Action::from_name(action.name()), Some(*action));
            assert_eq!(Action::from_bare(action.bare()), Some(*action));
        }
        assert_eq!(Action::from_name("kms:decrypt"), None);
        assert_eq!(Action::from_name("Decrypt"), None);
        for name in ["", "D", "Decrypu", "decrypt", "Decrypt ", "ReEncrypt", "é"] {
            assert_eq!(Action::from_bare(name), None, "{name:?}");
        }
    }
}
