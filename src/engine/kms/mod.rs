//! The KMS catalog: actions, operations, condition keys, key states.

pub mod action;
pub mod condition_key;
pub mod key_state;
pub mod operation;
pub mod table;
