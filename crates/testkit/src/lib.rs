//! Package builder, scenarios and assertions for tests (development only).

pub mod package;
mod package_samples;

pub use package::PackageBuilder;
pub use package_samples::{TEST_IMAGE, demo_chain, every_step};
