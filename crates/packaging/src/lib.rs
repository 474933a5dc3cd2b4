//! Verified, bounded unpacking of service packages: an archive that nobody vouches for becomes a directory
//! that is complete and within limits, or nothing at all.
//!
//! Knows nothing of what a descriptor means, and reads no manifest: which hashes are expected is the caller's
//! to say. What it promises:
//! * Nothing is written outside a fresh staging directory. That directory is removed when unpacking fails or
//!   the result is dropped, and becomes the package's directory by one rename ([`Unpacked::commit`]).
//! * Limits hold for bytes really written, whatever the archive's headers claim; memory does not grow with
//!   the archive beyond its list of entries, which is counted before it is read.
//! * What could be read in two ways is refused: duplicate and colliding names, overlapping entries, headers
//!   that contradict each other, bytes behind the archive's end.
//!
//! ```
//! use std::io::Cursor;
//! use llcm_packaging::{Limits, unpack};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let archive = llcm_testkit::demo_chain().build();
//! let staging = tempfile::tempdir()?;
//! let unpacked = unpack(Cursor::new(archive), staging.path(), &Limits::default())?;
//! let content = unpacked.content(&Limits::default())?;
//! assert!(content.read("TOSCA-Metadata/NAPD.yaml")?.is_some());
//! drop(unpacked); // not committed: nothing stays
//! assert_eq!(staging.path().read_dir()?.count(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! Suggested reading order: [`limits`], [`error`], [`member`], [`staging`], then `archive` (the only user of the
//! zip crate) with `end` before it, [`content`], [`hash`].

mod archive;
pub mod content;
mod end;
pub mod error;
pub mod hash;
pub mod limits;
pub mod member;
pub mod staging;

pub use archive::unpack;
pub use content::ContentDir;
pub use error::{ErrorKind, PackagingError};
pub use hash::{Algorithm, Expected, HashProblem, Sha1Reader, verify};
pub use limits::Limits;
pub use member::MemberPath;
pub use staging::{Member, Unpacked};
