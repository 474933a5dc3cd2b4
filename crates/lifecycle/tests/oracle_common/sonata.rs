//! How the records of SONATA's gatekeeper are read.

use llcm_lifecycle::plan::document::ContainerDocument;
use serde_json::{Value, json};

pub(crate) const QCOW2: &str = "refused: unstartable-image-format";
pub(crate) const DOCKERFILES: &str = "refused: build-images-off, unstartable-image-format";
pub(crate) const AT_ONBOARDING: &str = "units that cannot be started are an error when the package is uploaded (sections 1, 2); the original \
     took the package and failed when it was to start";

/// Where the results are in this test; the record has another directory of that last name.
pub(crate) const RESULTS: &str = "/srv/results";

/// A container's start as the record has it, without what the original copied out of the descriptor and
/// nobody reads.
pub(crate) fn start(container: &ContainerDocument) -> Value {
    // What the original did not know of is not there.
    assert!(container.port_bindings.is_empty() && container.devices.is_empty());
    assert!(container.ipc_mode.is_none());
    assert!(container.cap_add.is_empty() || container.du_id == "sap");
    json!(["startCompute", container.datacenter, container.name, {
        "network": container.interfaces.iter().map(|interface| interface.id.clone()).collect::<Vec<_>>(),
        "image": container.image,
        "cpu_quota": container.cpu_quota,
        "cpu_period": container.cpu_period,
        "cpuset": container.cpuset_cpus,
        "mem_limit": container.mem_limit,
        "volumes": container.volumes.iter().map(|volume| mounted(volume)).collect::<Vec<_>>(),
    }])
}

/// `<results>/<service>/<function>:<path>:rw` as `u/<function>:<path>`: the service's id is drawn, and the record
/// has that letter for it.
fn mounted(volume: &str) -> String {
    let below = volume.strip_prefix(RESULTS).unwrap().strip_prefix('/').unwrap();
    let (service, rest) = below.split_once('/').unwrap();
    service.parse::<uuid::Uuid>().unwrap();
    format!("u/{}", rest.strip_suffix(":rw").unwrap())
}

pub(crate) fn normalise(body: &mut serde_json::Map<String, Value>) {
    for constant in ["flavor_name", "type"] {
        assert!(body.remove(constant).is_some());
    }
    // The list of CPUs is whatever the descriptor had, a number or a text.
    if body["cpuset"].is_number() {
        body["cpuset"] = json!(body["cpuset"].to_string());
    }
    for volume in body["volumes"].as_array_mut().unwrap() {
        let (_, below) = volume.as_str().unwrap().split_once("/results/").unwrap();
        *volume = json!(below);
    }
}
