//! Compiles Keyward's protocol, for the client, and this service's own.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;
use prost_types::FileDescriptorSet;
use protox::file::{
    ChainFileResolver, DescriptorSetFileResolver, GoogleFileResolver, IncludeFileResolver,
};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=../../proto");

    // `google/rpc/status.proto`, which Keyward's protocol imports, comes with tonic-types.
    let mut google = FileDescriptorSet::decode(tonic_types::pb::FILE_DESCRIPTOR_SET)?;
    for file in &mut google.file {
        let name = file.name().to_owned();
        if !name.starts_with("google/") {
            file.name = Some(format!("google/rpc/{name}"));
        }
    }
    let mut resolver = ChainFileResolver::new();
    resolver.add(IncludeFileResolver::new(PathBuf::from("proto")));
    resolver.add(IncludeFileResolver::new(PathBuf::from("../../proto")));
    resolver.add(DescriptorSetFileResolver::new(google));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(["keyward/v1/authorization.proto", "envelope/v1/envelope.proto"])?;
    tonic_prost_build::configure()
        .extern_path(".google.rpc", "::tonic_types::pb")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
