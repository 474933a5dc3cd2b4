//! Package builder, scenarios and assertions for tests (development only).

pub mod look;
mod lots;
pub mod package;
mod package_broken;
mod package_hostile;
mod package_samples;
pub mod process;
pub mod raw_zip;
mod zoo;

pub use lots::Lots;
pub use package::PackageBuilder;
pub use package_hostile::{Hostile, Stage, hostile};
pub use package_samples::{TEST_IMAGE, demo_chain, every_step};
pub use zoo::zoo;
