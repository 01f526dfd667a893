//! Generates the gRPC code from `proto/` with protox, a compiler in Rust: nobody needs `protoc`.

use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    for package in ["lease", "store", "peer"] {
        for entry in fs::read_dir(root.join("leasehold").join(package).join("v1"))? {
            let path: PathBuf = entry?.path();
            if path.extension().is_some_and(|extension| extension == "proto") {
                files.push(path);
            }
        }
    }
    files.sort();
    let descriptors = protox::compile(files, [&root])?;
    let out = Path::new(&env::var("OUT_DIR")?).to_path_buf();
    let (mut public, mut peer) = (descriptors.clone(), descriptors);
    public.file.retain(|file| !file.package().starts_with("leasehold.peer"));
    peer.file.retain(|file| file.package().starts_with("leasehold.peer"));
    fs::write(out.join("descriptors.bin"), public.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").compile_fds(public)?;
    // Nodes check what they say to each other.
    let sealed = tonic_prost_build::configure().codec_path("crate::SealedCodec");
    sealed.bytes(".").compile_fds(peer)?;
    Ok(())
}
