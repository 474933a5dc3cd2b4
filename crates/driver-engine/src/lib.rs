//! Containers on the embedded engine: the container driver for [`llcm_engine`], which needs no daemon.
//!
//! Decides no name, address or order, and knows nothing of networks beyond the file of a container's network
//! namespace. What it creates carries the owner's labels; what does not carry them is never touched.

mod source;

pub use source::ImageSource;
