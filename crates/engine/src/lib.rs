//! A container engine as a library.

pub mod capability;
mod error;
mod files;
pub mod image;
mod spec;

pub use error::{EngineError, ImageError};
pub use spec::{Bind, Device, Limits, Spec};
