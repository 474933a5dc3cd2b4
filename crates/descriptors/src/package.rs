//! Package manifests: NAPD of 5GTANGO, MANIFEST.MF of SONATA.

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Severity};
use crate::model::{PackageInfo, PackageKind, Triple};
use crate::path::package_path;
use crate::source::Source;
use crate::yaml::{Field, cut};

/// A file that the manifest lists, for the comparison of hashes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentEntry {
    /// The path within the package, normalised.
    pub path: String,
    /// `application/vnd.5gtango.nsd`; empty when missing.
    pub content_type: String,
    /// `SHA-256`, `MD5`, as written (MD5 for every hash of a `.son`); empty when missing.
    pub algorithm: String,
    /// Hexadecimal digits as written; empty when missing.
    pub hash: String,
    /// The manifest.
    pub document: String,
    /// The place in the manifest (`package_content[2]`).
    pub location: String,
    /// Line in the manifest, from 1.
    pub line: u32,
    /// Column in the manifest, from 1.
    pub column: u32,
}

/// A manifest, read.
#[derive(Debug)]
pub(crate) struct Manifest<'a> {
    pub(crate) info: PackageInfo,
    pub(crate) contents: Vec<ContentEntry>,
    /// The NSD's path, with the place that names it.
    pub(crate) nsd: Option<(String, Field<'a>)>,
    /// The VNFDs' paths likewise.
    pub(crate) vnfds: Vec<(String, Field<'a>)>,
}

impl PackageKind {
    /// Where the manifest lies in packages of this format.
    #[must_use]
    pub const fn manifest(self) -> &'static str {
        match self {
            Self::Tgo => "TOSCA-Metadata/NAPD.yaml",
            Self::Son => "META-INF/MANIFEST.MF",
        }
    }
}

/// Tells the format from the content.
///
/// # Errors
/// The finding that explains why it is neither.
pub(crate) fn detect(source: &dyn Source) -> Result<PackageKind, Box<Diagnostic>> {
    let paths = source.paths();
    let kinds = [PackageKind::Tgo, PackageKind::Son];
    if let Some(kind) = kinds.into_iter().find(|kind| paths.iter().any(|path| path == kind.manifest())) {
        return Ok(kind);
    }
    let below = |path: &String| {
        kinds.iter().find_map(|kind| path.strip_suffix(kind.manifest())?.strip_suffix('/').map(str::to_owned))
    };
    if let Some(folder) = paths.iter().find_map(below) {
        let message = format!(
            "the package has no manifest at its top: everything lies below the folder `{}/`",
            cut(&folder)
        );
        return Err(Box::new(
            Diagnostic::new(Severity::Error, "top-folder", "", "", message)
                .hint("pack the content of that folder instead of the folder itself"),
        ));
    }
    let message = format!(
        "the package has neither {} (5GTANGO) nor {} (SONATA)",
        PackageKind::Tgo.manifest(),
        PackageKind::Son.manifest()
    );
    Err(Box::new(
        Diagnostic::new(Severity::Error, "no-manifest", "", "", message)
            .hint("pack a service project with its manifest; spelling and case of the names count"),
    ))
}

/// Vendor, name and version of a document; a missing name is an error.
pub(crate) fn triple(root: &Field<'_>, what: &str) -> Triple {
    let text = |keys: &[&str]| root.get_any(keys).and_then(|field| field.text()).unwrap_or_default();
    let id = Triple {
        vendor: text(&["vendor", "package_group"]),
        name: text(&["name", "package_name"]),
        version: text(&["version", "package_version"]),
    };
    if id.name.is_empty() {
        root.error("missing-name", format!("the {what} has no `name`"), "write `name: ...` at its top");
    }
    id
}

/// Reads a manifest.
pub(crate) fn manifest<'a>(root: &Field<'a>, kind: PackageKind) -> Manifest<'a> {
    let info = PackageInfo { kind, id: triple(root, "package") };
    let (path_key, vnfd_type) = match kind {
        PackageKind::Tgo => ("source", "application/vnd.5gtango.vnfd"),
        PackageKind::Son => ("name", "application/sonata.function_descriptor"),
    };
    let mut contents = Vec::new();
    let mut nsds = Vec::new();
    let mut vnfds = Vec::new();
    for field in root.list("package_content") {
        if !field.expect_map() {
            continue;
        }
        let content_type = field.text_of("content-type").unwrap_or_default();
        let Some(path) = field.get(path_key).and_then(|field| file(&field)) else {
            if field.get(path_key).is_none() {
                field.error(
                    "missing-path",
                    format!("the entry has no `{path_key}`"),
                    "write the file's path",
                );
            }
            continue;
        };
        if content_type == vnfd_type {
            vnfds.push((path.clone(), field.clone()));
        } else if kind == PackageKind::Tgo && content_type == "application/vnd.5gtango.nsd" {
            nsds.push((path.clone(), field.clone()));
        }
        contents.push(entry(&field, kind, path, content_type));
    }
    if let Some((_, second)) = nsds.get(1) {
        second.warn(
            "several-nsds",
            "the package has a second NSD, which is ignored",
            "pack one service per package",
        );
    }
    let nsd = match kind {
        PackageKind::Tgo => nsds.into_iter().next(),
        PackageKind::Son => root.get("entry_service_template").and_then(|field| Some((file(&field)?, field))),
    };
    // A `.son` that names an NSD by a path that is none has its error already.
    if nsd.is_none() && (kind == PackageKind::Tgo || root.get("entry_service_template").is_none()) {
        let hint = match kind {
            PackageKind::Tgo => {
                "list it under `package_content` with `content-type: application/vnd.5gtango.nsd`"
            }
            PackageKind::Son => "write its path as `entry_service_template`",
        };
        root.error("no-nsd", "the package names no network service descriptor", hint);
    }
    Manifest { info, contents, nsd, vnfds }
}

fn file(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    let path = package_path(&text);
    if let Err(reason) = path {
        field.error(
            "invalid-path",
            format!("`{}` is no path inside the package: {reason}", cut(&text)),
            "write a path relative to the package's top",
        );
    }
    path.ok()
}

fn entry(field: &Field<'_>, kind: PackageKind, path: String, content_type: String) -> ContentEntry {
    let (algorithm, hash) = match kind {
        PackageKind::Tgo => {
            (field.text_of("algorithm").unwrap_or_default(), field.text_of("hash").unwrap_or_default())
        }
        PackageKind::Son => {
            let hash = field.text_of("md5").unwrap_or_default();
            (if hash.is_empty() { String::new() } else { "MD5".to_owned() }, hash)
        }
    };
    ContentEntry {
        path,
        content_type,
        algorithm,
        hash,
        document: field.findings().document().to_owned(),
        location: field.path.clone(),
        line: field.node().line,
        column: field.node().column,
    }
}
