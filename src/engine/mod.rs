//! The wall: values in, values out. No files, no network, no clock, no async.

pub mod bundle;
pub mod decide;
pub mod evaluation;
pub mod grant;
pub mod json;
pub mod kms;
pub mod overlay;
pub mod policy;
pub mod problem;
pub mod snapshot;
pub mod sorted;
pub mod term;
