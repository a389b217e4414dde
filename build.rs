//! Compiles the protocol files in pure Rust: no protoc is needed on the machine.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message as _;
use prost_types::FileDescriptorSet;
use protox::file::{
    ChainFileResolver, DescriptorSetFileResolver, GoogleFileResolver, IncludeFileResolver,
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");

    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(PathBuf::from("proto")));
    resolver.add(DescriptorSetFileResolver::new(google_rpc()?));
    resolver.add(GoogleFileResolver::new());

    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler
        .include_imports(true) // reflection serves the imported files too
        .include_source_info(true); // comments for `grpcurl describe`

    // Reflection on the data listener lists the data services alone.
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    compiler.open_files(["keyward/v1/authorization.proto"])?;
    fs::write(out.join("data.bin"), compiler.encode_file_descriptor_set())?;
    compiler.open_files([
        "keyward/v1/grants.proto",
        "keyward/v1/analysis.proto",
        "keyward/v1/policies.proto",
    ])?;
    fs::write(out.join("all.bin"), compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// The `google.rpc` messages, under the file names by which the rest of the world imports them.
fn google_rpc() -> Result<FileDescriptorSet, prost::DecodeError> {
    let mut set = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
    for file in &mut set.file {
        let name = file.name().to_owned();
        if !name.starts_with("google/") {
            file.name = Some(format!("google/rpc/{name}"));
        }
    }
    Ok(set)
}
