//! Unpacks a package and lists it: `cargo run -p llcm-packaging --example unpack -- PACKAGE [TARGET]`.
//! Without a target directory nothing stays on disk.

#![expect(clippy::print_stdout, reason = "an example's output")]

use std::fs::File;
use std::path::Path;

use llcm_packaging::{Limits, Sha1Reader, unpack};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let package = arguments.next().ok_or("which package? give its path")?;
    let target = arguments.next();
    let (bytes, sha1) = Sha1Reader::new(File::open(&package)?).finish()?;
    println!("{package}: {bytes} bytes, SHA-1 {sha1}");

    // The staging directory must be on the file system of the target, because committing is a rename.
    let staging = match target.as_deref().and_then(|target| Path::new(target).parent()) {
        Some(parent) if parent.as_os_str().is_empty() => tempfile::tempdir_in(".")?,
        Some(parent) => tempfile::tempdir_in(parent)?,
        None => tempfile::tempdir()?,
    };
    let unpacked = unpack(File::open(&package)?, staging.path(), &Limits::default())?;
    for member in unpacked.members() {
        println!("{:>10}  {}", member.size, member.path);
    }
    println!("{:>10}  in all", unpacked.bytes());
    if let Some(target) = target {
        println!("unpacked to {}", unpacked.commit(Path::new(&target))?.display());
    }
    Ok(())
}
