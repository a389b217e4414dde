//! The fuzz target `json`: see `src/json.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::json::run(data));
