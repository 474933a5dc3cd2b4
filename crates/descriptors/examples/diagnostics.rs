//! Prints all diagnostics of an unpacked package: `cargo run -p llcm-descriptors --example diagnostics -- DIR`.
//! Without a directory it shows those of a small broken package.

#![expect(clippy::print_stdout, reason = "an example's output")]

use std::collections::BTreeMap;
use std::path::Path;

use llcm_descriptors::{LoadOptions, load};

fn main() -> std::io::Result<()> {
    let files = match std::env::args().nth(1) {
        Some(directory) => {
            let mut files = BTreeMap::new();
            collect(Path::new(&directory), "", &mut files)?;
            files
        }
        None => broken_package(),
    };
    let loaded = load(&files, &LoadOptions::default());
    for diagnostic in &loaded.diagnostics {
        println!("{diagnostic}");
    }
    match &loaded.descriptors {
        Some(descriptors) => {
            println!("{}: service {}", descriptors.package.id, descriptors.nsd.id);
            for function in &descriptors.nsd.functions {
                let vnfd = &descriptors.vnfds[&function.vnf_name];
                let units: Vec<_> =
                    vnfd.units.iter().map(|unit| format!("{} from {:?}", unit.id, unit.image)).collect();
                println!("  {} is a {}: {}", function.vnf_id, function.vnf_name, units.join(", "));
            }
        }
        None => println!("the package cannot be on-boarded"),
    }
    Ok(())
}

fn collect(directory: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(&entry.path(), &format!("{name}/"), files)?;
        } else if kind.is_file() {
            files.insert(name, std::fs::read(entry.path())?);
        }
    }
    Ok(())
}

fn broken_package() -> BTreeMap<String, Vec<u8>> {
    let napd = "name: broken\npackage_content:\n\
        - {source: nsd.yaml, content-type: application/vnd.5gtango.nsd}\n\
        - {source: vnfd.yaml, content-type: application/vnd.5gtango.vnfd}\n";
    let nsd = "name: broken-ns\nnetwork_functions:\n- {vnf_id: vnf0, vnf_name: fw}\n- {vnf_id: vnf1, vnf_name: router}\n";
    let vnfd =
        "name: fw\nvirtual_deployment_units:\n- id: vdu01\n  vm_image: fw.qcow2\n  vm_image_format: qcow2\n";
    [("TOSCA-Metadata/NAPD.yaml", napd), ("nsd.yaml", nsd), ("vnfd.yaml", vnfd)]
        .into_iter()
        .map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()))
        .collect()
}
