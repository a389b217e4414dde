//! The fuzz target `assertion`: see `src/assertion.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::assertion::run(data));
