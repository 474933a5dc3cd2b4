//! A package's files -> the model and all findings.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::diagnostic::{Diagnostic, Severity};
use crate::model::{Descriptors, PackageInfo, Triple, Vnfd};
use crate::nsd::{FunctionField, nsd};
use crate::package::{ContentEntry, Manifest, detect, manifest, triple};
use crate::source::Source;
use crate::vnfd::vnfd;
use crate::yaml::{Field, Findings, Node, compose, cut};

/// Bytes of all descriptors of a package together: a hundred times the largest one known.
const MAX_TOTAL_BYTES: usize = 64 << 20;

/// What can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LoadOptions {
    /// Whether images may be built from Dockerfiles inside the package (setting `build_images`).
    pub build_images: bool,
}

/// What a package holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The model; `None` exactly when [`Loaded::diagnostics`] has an error.
    pub descriptors: Option<Descriptors>,
    /// The package, as far as its manifest could be read, even when something else is wrong.
    pub package: Option<PackageInfo>,
    /// The NSD's identity likewise.
    pub nsd: Option<Triple>,
    /// What the manifest lists, in its order.
    pub contents: Vec<ContentEntry>,
    /// All findings: the package's, the manifest's, the NSD's, the VNFDs', each in reading order.
    pub diagnostics: Vec<Diagnostic>,
}

impl Loaded {
    /// Whether the package can be on-boarded.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.descriptors.is_some()
    }

    fn failed(diagnostics: Vec<Diagnostic>) -> Self {
        Self { descriptors: None, package: None, nsd: None, contents: Vec::new(), diagnostics }
    }
}

/// What the readers need to know beyond their own document.
pub(crate) struct Context<'a> {
    pub(crate) options: &'a LoadOptions,
    files: BTreeSet<String>,
}

impl Context<'_> {
    pub(crate) fn has_file(&self, path: &str) -> bool {
        self.files.contains(path)
    }
}

/// Loads the descriptors of a package. Never fails half-way: what is wrong is a diagnostic, and all that can
/// be found is found in one go. Takes time and memory in proportion to the descriptors, which are bounded.
#[must_use]
pub fn load(source: &dyn Source, options: &LoadOptions) -> Loaded {
    let kind = match detect(source) {
        Ok(kind) => kind,
        Err(diagnostic) => return Loaded::failed(vec![*diagnostic]),
    };
    let context = Context { options, files: source.paths().into_iter().collect() };
    let mut reader = Reader { source, bytes: 0 };
    let (node, findings) = match reader.read(kind.manifest()) {
        Ok(read) => read,
        Err(Problem::Broken(diagnostic)) => return Loaded::failed(vec![*diagnostic]),
        Err(problem @ (Problem::Missing | Problem::Unreadable(_))) => {
            let reason = match problem {
                Problem::Unreadable(reason) => reason,
                // Listed a moment ago.
                _ => "the file is gone".to_owned(),
            };
            let message = format!("cannot be read: {reason}");
            let diagnostic = Diagnostic::new(Severity::Error, "unreadable", kind.manifest(), "", message);
            return Loaded::failed(vec![
                diagnostic.hint("make the file readable and as small as descriptors are"),
            ]);
        }
    };
    let root = findings.root(&node);
    if !root.expect_map() {
        return Loaded::failed(findings.into_inner());
    }
    let manifest = manifest(&root, kind);
    let opened = manifest.nsd.iter().chain(&manifest.vnfds);
    let opened: BTreeSet<_> = opened.map(|(path, _)| path.as_str()).collect();
    for entry in manifest.contents.iter().filter(|entry| !context.has_file(&entry.path)) {
        // Missing descriptors are errors and noted when they are opened.
        if !opened.contains(entry.path.as_str()) {
            let message = format!("the package has no file `{}`", cut(&entry.path));
            let diagnostic =
                Diagnostic::new(Severity::Warning, "missing-file", &entry.document, &entry.location, message)
                    .hint("add the file, or remove the entry")
                    .at(entry.line, entry.column);
            findings.push(diagnostic);
        }
    }
    let (descriptors, nsd, documents) = documents(&mut reader, &manifest, &context);
    let Manifest { info, contents, .. } = manifest;
    let mut diagnostics = findings.into_inner();
    diagnostics.extend(documents);
    let failed = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    let descriptors = descriptors.filter(|_| !failed);
    Loaded { descriptors, package: Some(info), nsd, contents, diagnostics }
}

/// Reads a VNFD by itself: one that belongs to no package. `name` is the file's, for findings. The model is `None`
/// exactly when a finding is an error.
#[must_use]
pub fn load_vnfd(name: &str, bytes: &[u8]) -> (Option<Vnfd>, Vec<Diagnostic>) {
    let (node, warnings) = match compose(name, bytes) {
        Ok(read) => read,
        Err(diagnostic) => return (None, vec![*diagnostic]),
    };
    let findings = Findings::new(name);
    warnings.into_iter().for_each(|warning| findings.push(warning));
    let root = findings.root(&node);
    let context = Context { options: &LoadOptions::default(), files: BTreeSet::new() };
    let model = root.expect_map().then(|| vnfd(&root, triple(&root, "network function"), &context));
    let diagnostics = findings.into_inner();
    let failed = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    (model.filter(|_| !failed), diagnostics)
}

/// Reads the NSD and the VNFDs that it uses.
fn documents(
    reader: &mut Reader<'_>,
    manifest: &Manifest<'_>,
    context: &Context<'_>,
) -> (Option<Descriptors>, Option<Triple>, Vec<Diagnostic>) {
    let mut found = Vec::new();
    let functions = functions(reader, manifest, &mut found);
    let Some((node, findings)) = manifest.nsd.as_ref().and_then(|file| reader.open(file, &mut found)) else {
        found.extend(functions.into_values().flat_map(|function| function.findings.into_inner()));
        return (None, None, found);
    };
    let root = findings.root(&node);
    let mut model = None;
    let mut id = None;
    if root.expect_map() {
        let triple = triple(&root, "network service");
        id = Some(triple.clone());
        let (nsd, uses) = nsd(&root, triple);
        let vnfds = link(&uses, &functions, context);
        model = Some(Descriptors { package: manifest.info.clone(), nsd, vnfds });
    }
    found.extend(findings.into_inner());
    found.extend(functions.into_values().flat_map(|function| function.findings.into_inner()));
    (model, id, found)
}

/// A VNFD, parsed but not yet read.
struct Function {
    node: Rc<Node>,
    findings: Findings,
    id: Triple,
}

/// All VNFDs of a package by their names; of several with one name the last.
fn functions(
    reader: &mut Reader<'_>,
    manifest: &Manifest<'_>,
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<String, Function> {
    let mut functions: BTreeMap<String, Function> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for file in &manifest.vnfds {
        let (path, field) = file;
        if !seen.insert(path) {
            field.warn("duplicate-entry", format!("`{}` is listed again", cut(path)), "remove the entry");
            continue;
        }
        let Some((node, findings)) = reader.open(file, found) else { continue };
        let root = findings.root(&node);
        if !root.expect_map() {
            found.extend(findings.into_inner());
            continue;
        }
        let id = triple(&root, "network function");
        let name = id.name.clone();
        if let Some(earlier) = functions.get(&name) {
            root.warn(
                "duplicate-vnfd",
                format!(
                    "`{}` has the name `{}` too; this file wins",
                    cut(earlier.findings.document()),
                    cut(&name)
                ),
                "give each function a name of its own, or remove one of the files",
            );
        }
        if let Some(earlier) = functions.insert(name, Function { node, findings, id }) {
            found.extend(earlier.findings.into_inner());
        }
    }
    functions
}

/// Reads each VNFD that the service uses, once. Those it does not use are not looked into.
fn link(
    uses: &[FunctionField<'_>],
    functions: &BTreeMap<String, Function>,
    context: &Context<'_>,
) -> BTreeMap<String, Vnfd> {
    let mut vnfds = BTreeMap::new();
    for (function, field) in uses {
        let Some(found) = functions.get(&function.vnf_name) else {
            let known: Vec<_> = functions.keys().take(5).map(|name| format!("`{}`", cut(name))).collect();
            let hint = if known.is_empty() {
                "the package lists no VNFD: add it to the package and to its manifest".to_owned()
            } else {
                format!(
                    "the package's VNFDs have the names {}: correct `vnf_name`, or add the file",
                    known.join(", ")
                )
            };
            field.error(
                "unknown-vnfd",
                format!(
                    "the function `{}` uses the VNFD `{}`, which the package does not have",
                    cut(&function.vnf_id),
                    cut(&function.vnf_name)
                ),
                hint,
            );
            continue;
        };
        if !vnfds.contains_key(&function.vnf_name) {
            let model = vnfd(&found.findings.root(&found.node), found.id.clone(), context);
            vnfds.insert(function.vnf_name.clone(), model);
        }
    }
    vnfds
}

/// Why a document cannot be had.
enum Problem {
    /// The source has not got it.
    Missing,
    /// The source does not give it, in words.
    Unreadable(String),
    /// It has no YAML in it.
    Broken(Box<Diagnostic>),
}

/// Reads documents and keeps count of their bytes.
struct Reader<'a> {
    source: &'a dyn Source,
    bytes: usize,
}

impl Reader<'_> {
    fn read(&mut self, path: &str) -> Result<(Rc<Node>, Findings), Problem> {
        let bytes = match self.source.read(path) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Err(Problem::Missing),
            Err(reason) => return Err(Problem::Unreadable(reason)),
        };
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > MAX_TOTAL_BYTES {
            return Err(Problem::Unreadable("all descriptors together are larger than 64 MiB".to_owned()));
        }
        let (node, warnings) = compose(path, &bytes).map_err(Problem::Broken)?;
        let findings = Findings::new(path);
        for warning in warnings {
            findings.push(warning);
        }
        Ok((node, findings))
    }

    /// Reads a file that the manifest names; a failure is noted at the place that names it.
    fn open(
        &mut self,
        file: &(String, Field<'_>),
        found: &mut Vec<Diagnostic>,
    ) -> Option<(Rc<Node>, Findings)> {
        let (path, field) = file;
        match self.read(path) {
            Ok(read) => return Some(read),
            Err(Problem::Broken(diagnostic)) => found.push(*diagnostic),
            Err(Problem::Missing) => field.error(
                "missing-file",
                format!("the descriptor `{}` cannot be read: the package has no such file", cut(path)),
                "add the file to the package, or correct the path",
            ),
            Err(Problem::Unreadable(reason)) => field.error(
                "unreadable",
                format!("the descriptor `{}` cannot be read: {reason}", cut(path)),
                "make the file readable and as small as descriptors are",
            ),
        }
        None
    }
}
