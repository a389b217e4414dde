//! What is recorded, where, and what happens when it cannot be.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::file::Rotation;
use crate::engine::decide::decision::Verdict;
use crate::wire::record::Masks;

/// How the decision log works.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where records go; not empty.
    pub sinks: Vec<Place>,
    /// What happens when they cannot.
    pub mode: Mode,
    /// Which decisions are recorded.
    pub filter: Filter,
    /// What of values is told.
    pub masks: Masks,
    /// The key of the chain.
    pub key: Option<Vec<u8>>,
    /// When a file is put aside.
    pub rotation: Rotation,
    /// The folder with notes on sinks that cannot be read again, if there is one.
    pub notes: Option<PathBuf>,
}

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A file of JSON Lines.
    File(PathBuf),
    /// Standard output.
    Stdout,
    /// A collector, as OTLP logs.
    Otlp,
}

impl Place {
    /// Its kind, as metrics name it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Stdout => "stdout",
            Self::Otlp => "otlp",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Stdout => f.write_str("stdout"),
            Self::Otlp => f.write_str("otlp"),
        }
    }
}

/// What happens when a record cannot be written at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is lost, and counted.
    BestEffort,
    /// It waits on disk.
    Spill(SpillSettings),
    /// There is no answer before it is written, and none at all when it is not within this time.
    Durable(Duration),
}

/// Where records wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpillSettings {
    /// The folder.
    pub folder: PathBuf,
    /// The most bytes a sink.
    pub bytes: u64,
}

/// Which decisions are recorded.
#[derive(Clone, Debug)]
pub struct Filter {
    /// These; all when empty.
    pub decisions: Vec<Verdict>,
    /// Of these actions, with `kms:`; all when empty.
    pub actions: Vec<&'static str>,
    /// Of allows, this share.
    pub allows: f64,
}

impl Default for Filter {
    fn default() -> Self {
        Self { decisions: Vec::new(), actions: Vec::new(), allows: 1.0 }
    }
}

impl Filter {
    /// Whether a decision is recorded. `draw` is a number from 0 to 1; denials do not depend on it.
    #[must_use]
    pub fn admits(&self, verdict: Verdict, action: &str, draw: impl FnOnce() -> f64) -> bool {
        self.admits_changes(verdict, action)
            && (verdict != Verdict::Allowed || self.allows >= 1.0 || draw() < self.allows)
    }

    /// Whether a change that such a decision allowed is recorded: sampling spares it.
    #[must_use]
    pub fn admits_changes(&self, verdict: Verdict, action: &str) -> bool {
        (self.decisions.is_empty() || self.decisions.contains(&verdict))
            && (self.actions.is_empty() || self.actions.contains(&action))
    }

    /// The share of allows, where it is not all.
    #[must_use]
    pub fn ratio(&self, verdict: Verdict) -> Option<f64> {
        (verdict == Verdict::Allowed && self.allows < 1.0).then_some(self.allows)
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;
    use crate::engine::decide::decision::Verdict;

    #[test]
    fn filters_choose_and_sampling_spares_denials() {
        let all = Filter::default();
        assert!(all.admits(Verdict::Allowed, "kms:Decrypt", || 0.99));
        let none = Filter { allows: 0.0, ..Filter::default() };
        assert!(!none.admits(Verdict::Allowed, "kms:Decrypt", || 0.0));
        assert!(none.admits_changes(Verdict::Allowed, "kms:CreateGrant"));
        for denial in [Verdict::ImplicitDeny, Verdict::ExplicitDeny, Verdict::KeyState] {
            assert!(none.admits(denial, "kms:Decrypt", || 0.99));
        }
        let some = Filter {
            decisions: vec![Verdict::ExplicitDeny],
            actions: vec!["kms:Decrypt"],
            ..Filter::default()
        };
        assert!(some.admits(Verdict::ExplicitDeny, "kms:Decrypt", || 0.0));
        assert!(!some.admits(Verdict::ImplicitDeny, "kms:Decrypt", || 0.0));
        assert!(!some.admits(Verdict::ExplicitDeny, "kms:Encrypt", || 0.0));
        assert!(!some.admits_changes(Verdict::Allowed, "kms:CreateGrant"));
    }
}
