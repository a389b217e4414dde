//! The process: parses arguments, runs, exits.

fn main() {}
