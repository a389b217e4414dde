//! The configuration file, and addresses in it.

use std::path::Path;

use keyward::cli::config::{InvalidConfig, PolicyArgs, parse, policies};
use keyward::rpc::listener::Address;

/// Reads any text as a configuration file, and as an address.
///
/// What is refused says what is wrong and in which file; an address is displayed as it is read.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(address) = text.trim_end().parse::<Address>() {
        let shown = address.to_string();
        assert_eq!(shown.parse().ok(), Some(address), "{shown}");
    }
    match parse(text, Path::new("keyward.toml")) {
        Ok(file) => {
            let args = PolicyArgs { policies: Some("policies".into()), ..PolicyArgs::default() };
            if let Err(error) = policies(&args, &file) {
                assert!(matches!(error, InvalidConfig::Value(_)) && !error.to_string().is_empty());
            }
        }
        Err(error) => assert!(error.to_string().contains("`keyward.toml`"), "{error}"),
    }
}
