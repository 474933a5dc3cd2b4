//! Containers on the embedded engine: the container driver for [`llcm_engine`], which needs no daemon.
//!
//! Decides no name, address or order, and knows nothing of networks beyond the file of a container's network
//! namespace. What it creates carries the owner's labels; what does not carry them is never touched.

mod registry;
mod source;

pub use registry::{Registry, RegistryDeadlines, RegistryOptions};
pub use source::ImageSource;
