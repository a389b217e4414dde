//! The fuzz target `words`: see `src/words.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::words::run(data));
