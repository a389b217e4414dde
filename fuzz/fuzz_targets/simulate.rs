//! The fuzz target `simulate`: see `src/simulate.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::simulate::run(data));
