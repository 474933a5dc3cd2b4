//! What a server does until it is killed: everything that there is to be done.

use std::sync::LazyLock;

use llcm_runtime::simulated::{Fault, Operation};
use llcm_testkit::{demo_chain, every_step};

use super::ledger::Client;

/// A service whose image is built from the package.
pub(crate) static BUILT: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let image = "file://docker/fw/Dockerfile";
    demo_chain().replace("llcm-test:latest", image).file("docker/fw/Dockerfile", "FROM scratch\n").build()
});
pub(crate) static CHAIN: LazyLock<Vec<u8>> = LazyLock::new(|| demo_chain().build());
pub(crate) static EVERY: LazyLock<Vec<u8>> = LazyLock::new(|| every_step().build());

/// Uploads, instances with every kind of step, one that fails, one that is called off, one that gets stuck, removals,
/// and the end.
pub(crate) async fn everything(client: &Client) {
    let every = client.push(&EVERY).await.expect("on-boarded").id;
    let chain = client.push(&BUILT).await.expect("on-boarded").id;
    let first = client.up(every).await;
    let other = client.up(chain).await;
    let second = client.up(every).await;
    assert!(client.down(first).await);

    client.world.add_fault(Fault::fail(Operation::Attach).on_call(5).after());
    client.up(every).await;
    client.world.clear_faults();

    let unwanted = client.begin(every).await.expect("planned");
    assert!(client.down(unwanted).await);
    assert!(!client.made(unwanted).await, "called off");

    assert!(client.down(other).await);
    client.remove(chain).await.expect("removed");

    client.world.add_fault(Fault::fail(Operation::Remove).target("mn.core.*").always());
    assert!(!client.down(second).await, "stuck");
    client.world.clear_faults();
    assert!(client.down(second).await);
    client.remove(every).await.expect("removed");
    // Which takes the data centers down and has nothing else to do.
    client.llcm.shutdown(true).await.expect("it ends");
}
