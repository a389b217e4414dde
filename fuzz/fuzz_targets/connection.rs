//! The fuzz target `connection`: see `src/connection.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::connection::run(data));
