//! The words of the field, each valid by construction.

pub mod account;
pub mod arn;
pub mod composed;
pub mod condition_key;
pub mod few;
pub mod key_id;
pub mod partition;
pub mod principal;
pub mod request;
pub mod text;
pub mod time;
pub mod truth;
pub mod values;
