//! Records of what a decision allowed and was done: a grant was created, retired or revoked. All that
//! is said of the decision is said here again, so that the record can be read alone.

use serde_json::{Map, Value, json};

use super::{Decided, Masks, Origin, event};
use crate::engine::term::time::Timestamp;

/// A change of the grants that was made.
#[derive(Clone, Copy, Debug)]
pub struct GrantChange<'a> {
    /// The unique id of its record.
    pub event_id: &'a str,
    /// When.
    pub now: Timestamp,
    /// What it did.
    pub effect: GrantEffect,
    /// The grant that it is about.
    pub grant_id: &'a str,
    /// The state of the grants with it.
    pub consistency_token: &'a str,
}

/// What a change of the grants did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantEffect {
    /// There is a new grant.
    Created,
    /// Nothing: the grant was there.
    Existing,
    /// The grant is gone.
    Removed,
}

impl GrantEffect {
    fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Existing => "existing",
            Self::Removed => "removed",
        }
    }
}

/// The record of a change, as far as it is known before the change is made.
#[derive(Clone, Debug)]
pub struct Draft(Map<String, Value>);

impl Draft {
    /// What the decision says.
    #[must_use]
    pub fn of(decided: &Decided<'_>, origin: &Origin<'_>, masks: &Masks) -> Self {
        match serde_json::to_value(event(decided, origin, masks)) {
            Ok(Value::Object(members)) => Self(members),
            // Nothing in an event can fail to be written.
            _ => Self(Map::new()),
        }
    }

    /// The change was made.
    pub fn made(&mut self, change: &GrantChange<'_>) {
        let key = self.0.get("keyward").and_then(|own| own.get("keyArn")).cloned();
        let mut elements = Map::new();
        elements.extend(key.map(|key| ("keyId".to_owned(), key)));
        if change.effect != GrantEffect::Removed {
            elements.insert("grantId".to_owned(), change.grant_id.into());
        }
        self.0.insert("responseElements".to_owned(), elements.into());
        self.0.insert("eventTime".to_owned(), change.now.to_string().into());
        let decision = self.0.insert("eventID".to_owned(), change.event_id.into());
        let Some(Value::Object(own)) = self.0.get_mut("keyward") else { return };
        // What counts decisions must not count this.
        own.remove("decision");
        own.insert("kind".to_owned(), "grantChange".into());
        own.insert("effect".to_owned(), change.effect.name().into());
        own.insert("grantId".to_owned(), change.grant_id.into());
        own.insert("decisionId".to_owned(), decision.unwrap_or_default());
        own.insert("consistencyToken".to_owned(), change.consistency_token.into());
    }

    /// Leaves out what may be long.
    pub fn shorten(&mut self) {
        self.0.insert("requestParameters".to_owned(), Value::Null);
        if let Some(Value::Object(own)) = self.0.get_mut("keyward") {
            own.remove("principalTags");
            own.insert("shortened".to_owned(), json!(true));
        }
    }

    /// The record as one line of JSON, without the line's end.
    #[must_use]
    pub fn line(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).unwrap_or_else(|_| b"{}".to_vec())
    }
}
