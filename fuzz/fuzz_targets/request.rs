//! The fuzz target `request`: see `src/request.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::request::run(data));
