//! What is fuzzed: every parser of outside bytes. See `README.md` beside this.
//!
//! The bodies are ordinary functions: cargo-fuzz drives them with the inputs that it finds, and the
//! tests of the project with those that were kept.

pub mod assertion;
pub mod callers;
pub mod cases;
pub mod config;
pub mod connection;
pub mod documents;
pub mod grants;
pub mod json;
pub mod last_good;
pub mod log;
pub mod policy;
pub mod request;
pub mod resumed;
mod set;
pub mod simulate;
pub mod words;

/// A target: takes any bytes, and panics when something does not hold.
pub type Target = fn(&[u8]);

/// Every target, by the name of its folders and of its file below `fuzz_targets/`.
pub const TARGETS: [(&str, Target); 15] = [
    ("assertion", assertion::run),
    ("callers", callers::run),
    ("cases", cases::run),
    ("config", config::run),
    ("connection", connection::run),
    ("documents", documents::run),
    ("grants", grants::run),
    ("json", json::run),
    ("last_good", last_good::run),
    ("log", log::run),
    ("policy", policy::run),
    ("request", request::run),
    ("resumed", resumed::run),
    ("simulate", simulate::run),
    ("words", words::run),
];
