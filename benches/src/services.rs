//! Generated services, and how long planning them takes.

use std::fmt::Write;
use std::time::Instant;

use anyhow::Result;
use llcm_testkit::PackageBuilder;

use crate::stats;

/// The image that every generated VNF asks for.
pub(crate) const IMAGE: &str = "llcm-bench:1";

/// A chain of `count` VNFs over E-Lines, all on one management E-LAN: the fixture text of a package.
pub(crate) fn chain(count: usize) -> String {
    let header = "vendor: eu.example\nversion: \"0.1\"\ndescriptor_schema: \"-\"\n";
    let mut text = format!(
        "//- /TOSCA-Metadata/NAPD.yaml\n{header}name: chain-{count}\npackage_content:\n\
         - {{source: nsd.yaml, content-type: application/vnd.5gtango.nsd}}\n\
         - {{source: vnfd.yaml, content-type: application/vnd.5gtango.vnfd}}\n\
         //- /nsd.yaml\n{header}name: chain-{count}\nforwarding_graphs: []\nnetwork_functions:\n"
    );
    for vnf in 0..count {
        let _ = writeln!(
            text,
            "- {{vnf_id: vnf{vnf}, vnf_vendor: eu.example, vnf_name: node, vnf_version: \"0.1\"}}"
        );
    }
    text.push_str("virtual_links:\n- id: mgmt\n  connectivity_type: E-LAN\n  connection_points_reference:\n");
    for vnf in 0..count {
        let _ = writeln!(text, "  - vnf{vnf}:mgmt");
    }
    for vnf in 1..count {
        let _ = writeln!(
            text,
            "- {{id: hop{vnf}, connectivity_type: E-Line, connection_points_reference: [\"vnf{}:output\", \"vnf{vnf}:input\"]}}",
            vnf - 1
        );
    }
    let _ = writeln!(
        text,
        "//- /vnfd.yaml\n{header}name: node\nvirtual_deployment_units:\n- id: vdu01\n  vm_image: {IMAGE}\n  \
         vm_image_format: docker\n  resource_requirements: {{}}\n  connection_points:\n  - {{id: mgmt}}\n  - {{id: input}}\n  \
         - {{id: output}}"
    );
    text
}

/// The package of [`chain`].
pub(crate) fn package(count: usize) -> Vec<u8> {
    PackageBuilder::tgo(&chain(count)).build()
}

/// Times `llcm plan` for 1,000 and 10,000 VNFs, as a whole process.
pub(crate) fn plan() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut medians = Vec::new();
    for count in [1_000, 10_000] {
        let file = dir.path().join(format!("{count}.tgo"));
        std::fs::write(&file, package(count))?;
        let mut times = Vec::new();
        for _ in 0..5 {
            let begin = Instant::now();
            let out = std::process::Command::new(crate::server::binary()?)
                .args(["plan", "--output", "json", "--set", "eline_pool=20.0.0.0/24x16384"])
                .args(["--set", "max_descriptor=16MiB"])
                .arg(&file)
                .output()?;
            times.push(begin.elapsed().as_secs_f64() * 1e3);
            anyhow::ensure!(out.status.success(), "plan: {}", String::from_utf8_lossy(&out.stderr));
        }
        println!(
            "plan of {count:>6} VNFs, whole process: {} ms (min / median / max of 5)",
            stats::spread(&times)
        );
        medians.push(stats::median(&times));
    }
    println!("10,000 against 1,000 VNFs: {:.1} times (linear would be 10)", medians[1] / medians[0]);
    Ok(())
}
