//! The fuzz target `cases`: see `src/cases.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::cases::run(data));
