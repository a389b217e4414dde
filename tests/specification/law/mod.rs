//! The law: a second evaluator, written from AWS's documentation. It is slow and obvious, and shares
//! no code with the engine: JSON is walked as it stands, policies are read anew for every case,
//! patterns are matched by tables.
//!
//! Conditions and matches are true, false or unsure. An Allow needs true, a Deny applies on true and
//! on unsure: where something cannot be known, it never allows and always denies. Where the
//! documents leave something open, `switches` names the readings.

pub(crate) mod arn;
mod authorize;
mod caller;
pub(crate) mod catalog;
mod condition;
pub(crate) mod context;
mod decide;
mod derive;
mod derive_request;
mod derive_resource;
mod forms;
mod grants;
mod guardrails;
mod identities;
mod key_state;
mod keys;
mod legs;
pub(crate) mod operators;
mod organization;
mod pattern;
mod policy;
mod principals;
mod request;
mod resources;
mod retire;
mod spelling;
mod statement;
mod strict;
pub(crate) mod switches;
mod truth;
pub(crate) mod values;
mod variables;
mod world;

pub(crate) use self::decide::{Outcome, Refusal, decide};
