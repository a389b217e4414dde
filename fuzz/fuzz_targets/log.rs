//! The fuzz target `log`: see `src/log.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::log::run(data));
