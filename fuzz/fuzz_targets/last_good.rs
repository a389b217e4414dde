//! The fuzz target `last_good`: see `src/last_good.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::last_good::run(data));
