//! The fuzz target `documents`: see `src/documents.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| keyward_fuzz::documents::run(data));
