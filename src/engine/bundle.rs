//! The documents of a set as text, with their names and limits.

use std::sync::Arc;

use super::evaluation::Evaluation;

/// One document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its path below the folder of the set, or a number in a simulation.
    pub name: Arc<str>,
    /// Its text.
    pub text: Arc<str>,
}

/// Bounds on documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one document.
    pub document_bytes: usize,
    /// Levels of nesting.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { document_bytes: 64 * 1024 * 1024, depth: 128 }
    }
}

/// How the documents of a set are read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// A key without `Policy` has the default key policy.
    pub assume_default_key_policy: bool,
    /// A set without any content is not an error.
    pub allow_empty: bool,
    /// Parts that the set must not lack: names of [`Part`].
    pub require: Vec<String>,
    /// Bounds on documents.
    pub limits: Limits,
    /// How open points are read.
    pub evaluation: Evaluation,
    /// Region of requests that name none.
    pub default_region: Option<Box<str>>,
}

/// A part of a set that `policies.require` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Keys.
    Keys,
    /// Aliases.
    Aliases,
    /// Grants.
    Grants,
    /// Users, groups, roles and managed policies.
    Iam,
    /// The organization.
    Organization,
    /// VPC endpoints.
    Endpoints,
    /// Assertions.
    Assertions,
}

impl Part {
    /// Every part.
    pub const ALL: [Self; 7] = [
        Self::Keys,
        Self::Aliases,
        Self::Grants,
        Self::Iam,
        Self::Organization,
        Self::Endpoints,
        Self::Assertions,
    ];

    /// As configuration writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Aliases => "aliases",
            Self::Grants => "grants",
            Self::Iam => "iam",
            Self::Organization => "organization",
            Self::Endpoints => "endpoints",
            Self::Assertions => "assertions",
        }
    }

    /// The part that configuration writes as `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }
}
