//! The fuzz target `callers`: see `src/callers.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::callers::run(data));
