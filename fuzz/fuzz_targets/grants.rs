//! The fuzz target `grants`: see `src/grants.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::grants::run(data));
