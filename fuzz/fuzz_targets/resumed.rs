//! The fuzz target `resumed`: see `src/resumed.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::resumed::run(data));
