//! The condition context: condition keys, whose names ignore case, and their values.
//!
//! Source: IAM User Guide, "Single-valued vs. multivalued context keys"; AWS KMS Developer Guide,
//! "AWS KMS condition keys", "ABAC for AWS KMS".

/// What one condition key holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Entry {
    /// One value of a single-valued key.
    One(String),
    /// The values of a multivalued key, or a list given in simulation.
    Many(Vec<String>),
    /// Several values of a single-valued key, under names that differ in case alone.
    Colliding(Vec<String>),
    /// A value that nobody knows.
    Unknown,
}

/// Keys that hold sets.
const MULTIVALUED: [&str; 10] = [
    "kms:encryptioncontextkeys",
    "kms:grantoperations",
    "kms:resourcealiases",
    "aws:tagkeys",
    "aws:principalorgpaths",
    "aws:resourceorgpaths",
    "aws:sourceorgpaths",
    "aws:vpceorgpaths",
    "aws:calledvia",
    "aws:principalservicenameslist",
];

pub(crate) fn is_multivalued(key: &str) -> bool {
    MULTIVALUED.contains(&key.to_lowercase().as_str())
}

/// Whether the key follows tags or aliases of the KMS key: key policies cannot depend on those.
pub(crate) fn is_abac(key: &str) -> bool {
    let key = key.to_lowercase();
    key == "kms:resourcealiases" || key.starts_with("aws:resourcetag/")
}

/// Whether the text has the form `prefix:name`.
pub(crate) fn is_condition_key(text: &str) -> bool {
    let (prefix, name) = text.split_once(':').unwrap_or_default();
    !prefix.is_empty() && !name.is_empty() && !prefix.contains(['*', '?', '$', '{', ' '])
}

/// Condition keys and what they hold; a key that is not here is absent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    entries: Vec<(String, Entry)>,
}

impl Context {
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        let key = key.to_lowercase();
        self.entries.iter().find(|(k, _)| *k == key).map(|(_, e)| e)
    }

    /// The value of a single-valued key.
    pub(crate) fn one(&self, key: &str) -> Option<&str> {
        match self.get(key) {
            Some(Entry::One(value)) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, key: &str) {
        let key = key.to_lowercase();
        self.entries.retain(|(k, _)| *k != key);
    }

    pub(crate) fn put(&mut self, key: &str, entry: Entry) {
        self.remove(key);
        self.entries.push((key.to_lowercase(), entry));
    }

    pub(crate) fn set(&mut self, key: &str, value: impl Into<String>) {
        self.put(key, Entry::One(value.into()));
    }

    pub(crate) fn set_if_some(&mut self, key: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    /// The value, or that nobody knows it.
    pub(crate) fn set_or_unknown(&mut self, key: &str, value: Option<String>) {
        self.put(key, value.map_or(Entry::Unknown, Entry::One));
    }

    /// A set; the empty set is absence.
    pub(crate) fn set_many(&mut self, key: &str, values: Vec<String>) {
        if !values.is_empty() {
            self.put(key, Entry::Many(values));
        }
    }

    /// Pairs whose names stand behind a prefix; names may meet others that differ in case alone.
    pub(crate) fn set_pairs(&mut self, prefix: &str, pairs: &[(String, String)]) {
        for (name, _) in pairs {
            let of_name =
                |(other, _): &&(String, String)| other.to_lowercase() == name.to_lowercase();
            let values = pairs.iter().filter(of_name).map(|(_, value)| value.clone());
            let entry = match values.collect::<Vec<_>>() {
                values if values.len() == 1 => Entry::One(values.concat()),
                values => Entry::Colliding(values),
            };
            self.put(&format!("{prefix}{name}"), entry);
        }
    }

    /// The same context for a KMS key without tags and aliases.
    pub(crate) fn without_abac(&self) -> Self {
        let mut context = self.clone();
        context.entries.retain(|(key, _)| !is_abac(key));
        context
    }
}
