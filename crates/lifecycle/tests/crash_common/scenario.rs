//! The packages that servers are given.

use std::sync::LazyLock;

use llcm_testkit::{demo_chain, every_step};

/// A service whose image is built from the package.
pub(crate) static BUILT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let image = "file://docker/fw/Dockerfile";
    demo_chain().replace("llcm-test:latest", image).file("docker/fw/Dockerfile", "FROM scratch\n").build()
});
pub(crate) static CHAIN: LazyLock<Vec<u8>> = LazyLock::new(|| demo_chain().build());
pub(crate) static EVERY: LazyLock<Vec<u8>> = LazyLock::new(|| every_step().build());
