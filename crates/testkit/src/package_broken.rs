//! Packages whose archive is in order and whose descriptors are not.

use crate::package::{PackageBuilder, zip};
use crate::package_hostile::{Hostile, Row, Stage, rows};
use crate::package_samples::demo_chain;

pub(crate) fn broken_descriptors() -> Vec<Hostile> {
    let mut all = rows(Stage::Descriptors, wrong());
    all.extend(rows(Stage::Descriptors, too_much()));
    all.extend(rows(Stage::Integrity, vec![("wrong hash", 422, "hash-mismatch", "SHA-256", changed())]));
    all
}

fn nsd(text: &str) -> Vec<u8> {
    PackageBuilder::tgo(&format!("//- /Definitions/nsd.yaml\n{text}")).build()
}

fn wrong() -> Vec<Row> {
    let chain = demo_chain;
    let in_folder = |(path, bytes): (String, Vec<u8>)| (format!("project/{path}"), bytes);
    let top_folder: Vec<_> = chain().files().into_iter().map(in_folder).collect();
    let top_folder = zip(top_folder.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
    let no_nsd = PackageBuilder::tgo("//- /a.txt\na\n").build();
    let unknown = chain().replace("vnf_name: demo-vnf", "vnf_name: no-such-vnf").build();
    let binary = chain().file("/Definitions/nsd.yaml", vec![0xff, 0xfe, 0]).build();
    let qcow2 = chain().replace("vm_image_format: docker", "vm_image_format: qcow2").build();
    vec![
        ("no manifest", 422, "no-manifest", "neither TOSCA-Metadata/NAPD.yaml", zip([("a.txt", &b"a"[..])])),
        ("everything below one folder", 422, "top-folder", "below the folder `project/`", top_folder),
        ("no NSD", 422, "no-nsd", "names no network service descriptor", no_nsd),
        ("unknown VNFD", 422, "unknown-vnfd", "`no-such-vnf`", unknown),
        ("broken YAML", 422, "broken-yaml", "not valid YAML", nsd("name: [unclosed\nother: }\n")),
        ("not text", 422, "not-utf8", "not UTF-8", binary),
        ("an image that is no container", 422, "unstartable-image-format", "`qcow2`", qcow2),
    ]
}

fn too_much() -> Vec<Row> {
    let scalar = noise(1_000_000);
    let aliases = nsd(&format!("name: x\nbase: &a \"{scalar}\"\nlist:\n{}", "- *a\n".repeat(3000)));
    let laughs: String =
        (1..30).map(|n| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 10].join(","))).collect();
    let laughs = nsd(&format!("name: x\nl0: &l0 [ha, ha]\n{laughs}"));
    let flow = nsd(&format!("name: {}\n", "[".repeat(100_000)));
    let block: String = (0..200).map(|level| format!("{}k:\n", " ".repeat(level))).collect();
    let large = nsd(&format!("name: x\n# {}\n", noise(2 << 20)));
    vec![
        ("a megabyte behind 3000 aliases", 422, "document-too-large", "aliases", aliases),
        ("a billion laughs", 422, "document-too-large", "aliases", laughs),
        ("deep flow nesting", 422, "too-deep", "levels deep", flow),
        ("deep block nesting", 422, "too-deep", "levels deep", nsd(&block)),
        ("a descriptor of 2 MiB", 422, "unreadable", "larger than", large),
    ]
}

/// A package with a file that changed after its hash was taken.
fn changed() -> Vec<u8> {
    let mut files = demo_chain().files();
    if let Some(nsd) = files.get_mut("Definitions/nsd.yaml") {
        nsd.extend_from_slice(b"# changed after hashing\n");
    }
    zip(files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())))
}

/// Text that does not compress well, the same every time.
fn noise(length: usize) -> String {
    let mut state = 1u32;
    let letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (state >> 24).to_le_bytes()[0] % 26)
    };
    std::iter::repeat_with(letter).take(length).collect()
}
