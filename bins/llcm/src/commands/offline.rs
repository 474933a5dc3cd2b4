//! Reads a package without a server: what `plan` and `validate` have in common.

use std::borrow::Cow;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use llcm_descriptors::{Descriptors, Diagnostic, LoadOptions, Loaded, Severity, Source, load};
use llcm_lifecycle::{Integrity, Settings};
use llcm_names::PackageHash;
use llcm_packaging::{ContentDir, ErrorKind, Expected, Sha1Reader, unpack, verify};

use crate::config::file;
use crate::config::raw::RawConfig;

/// A package as it was found.
#[derive(Debug)]
pub(super) struct Package {
    /// The SHA-1 of the file's bytes.
    pub(super) sha1: PackageHash,
    /// What it means; `None` when a finding is an error.
    pub(super) descriptors: Option<Descriptors>,
    /// What it holds, as far as it could be read; `None` when it is no package at all.
    pub(super) loaded: Option<Loaded>,
    /// All findings.
    pub(super) findings: Vec<Diagnostic>,
}

impl Package {
    /// Reads a package as onboarding would. What is wrong with the package is a finding, not an error.
    ///
    /// # Errors
    /// When the file cannot be read, or there is no room to unpack it.
    pub(super) fn read(path: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let (name, limits) = (path.display(), &settings.limits);
        let open = || File::open(path).with_context(|| format!("cannot open {name}"));
        let (_, sha1) = Sha1Reader::new(BufReader::new(open()?))
            .finish()
            .with_context(|| format!("cannot read {name}"))?;
        let sha1 = PackageHash::parse(&sha1).map_err(|error| anyhow!(error))?;
        let staging = tempfile::tempdir().context("cannot make a temporary directory")?;
        let unpacked = match unpack(BufReader::new(open()?), staging.path(), limits) {
            Ok(unpacked) => unpacked,
            Err(error) if error.kind() == ErrorKind::Io => {
                return Err(anyhow::Error::new(error).context(format!("cannot unpack {name}")));
            }
            Err(error) => {
                let finding = Diagnostic::new(Severity::Error, error.code(), "", "", error.to_string());
                return Ok(Self { sha1, descriptors: None, loaded: None, findings: vec![finding] });
            }
        };
        let content = unpacked.content(limits)?;
        let options = LoadOptions { build_images: settings.build_images };
        let mut loaded = load(&Files(&content), &options);
        let mut findings = std::mem::take(&mut loaded.diagnostics);
        findings.extend(hash_findings(&content, &loaded, settings.integrity));
        let broken = findings.iter().any(|finding| finding.severity == Severity::Error);
        let descriptors = loaded.descriptors.take().filter(|_| !broken);
        Ok(Self { sha1, descriptors, loaded: Some(loaded), findings })
    }

    /// How many findings are errors and warnings.
    pub(super) fn counts(&self) -> (usize, usize) {
        let errors = self.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        (errors, self.findings.len() - errors)
    }
}

/// The files of a package for the descriptors' loader.
struct Files<'a>(&'a ContentDir);

impl Source for Files<'_> {
    fn paths(&self) -> Vec<String> {
        self.0.paths()
    }

    fn read(&self, path: &str) -> Result<Option<Cow<'_, [u8]>>, String> {
        self.0.read(path).map(|bytes| bytes.map(Cow::Owned))
    }
}

fn hash_findings(content: &ContentDir, loaded: &Loaded, integrity: Integrity) -> Vec<Diagnostic> {
    let usual = match integrity {
        Integrity::Enforce => Severity::Error,
        Integrity::Warn => Severity::Warning,
        Integrity::Off => return Vec::new(),
    };
    let expected: Vec<Expected<'_>> = loaded
        .contents
        .iter()
        .map(|entry| Expected { path: &entry.path, algorithm: &entry.algorithm, hash: &entry.hash })
        .collect();
    verify(content, &expected)
        .into_iter()
        .map(|(index, problem)| {
            let severity = if problem.only_warns() { Severity::Warning } else { usual };
            let entry = &loaded.contents[index];
            Diagnostic::new(severity, "hash", &entry.document, &entry.location, problem.to_string())
                .at(entry.line, entry.column)
        })
        .collect()
}

/// Settings for commands without a server, by their keys in the configuration file.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Sets {
    /// A setting of the server, by its key in the configuration file; repeatable.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pairs: Vec<String>,
    /// A configuration file of the server. Without it, defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Sets {
    /// What was given. No file is read and no variable is looked at that is not named: the answer depends on
    /// the command line only.
    ///
    /// # Errors
    /// When a key or value is wrong, or a file that is named cannot be read.
    pub(super) fn read(&self) -> anyhow::Result<RawConfig> {
        let below = match &self.config {
            Some(path) => file::read(Some(path))?,
            None => RawConfig::default(),
        };
        Ok(file::from_settings(&self.pairs)?.over(below))
    }
}
impl Package {
    pub(super) fn into_input(self) -> Self {
        self
    }
}
