//! The fuzz target `policy`: see `src/policy.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::policy::run(data));
