//! Hashes: of an upload while it streams, and of files against a manifest.

use std::io::Read;

use md5::Md5;
use sha1_smol::Sha1;
use sha2::{Digest, Sha256, Sha512};
use thiserror::Error;

use crate::content::ContentDir;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// Passes bytes through and keeps their number and SHA-1: the identity of an upload (not a protection).
pub struct Sha1Reader<R> {
    inner: R,
    sha1: Sha1,
    bytes: u64,
}

impl<R: Read> Sha1Reader<R> {
    /// Around a reader.
    pub fn new(inner: R) -> Self {
        Self { inner, sha1: Sha1::new(), bytes: 0 }
    }

    /// Bytes so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The SHA-1 so far, 40 lower-case hexadecimal digits.
    pub fn sha1(&self) -> String {
        self.sha1.digest().to_string()
    }

    /// Reads all that is left.
    ///
    /// # Errors
    /// The reader's.
    pub fn finish(mut self) -> std::io::Result<(u64, String)> {
        std::io::copy(&mut self, &mut std::io::sink())?;
        Ok((self.bytes, self.sha1()))
    }
}

impl<R> std::fmt::Debug for Sha1Reader<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sha1Reader").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl<R: Read> Read for Sha1Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sha1.update(&buffer[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}

/// A hash algorithm that manifests name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// What 5GTANGO packages use.
    Sha256,
    /// What ETSI SOL004 allows beside it.
    Sha512,
    /// What SONATA packages use. No protection, and wrong in many published packages: a mismatch is only ever
    /// worth a warning.
    Md5,
}

impl Algorithm {
    /// From a manifest's spelling: case, `-` and `_` do not count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain: String =
            text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        match plain.as_str() {
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            "md5" => Some(Self::Md5),
            _ => None,
        }
    }

    /// The one whose hashes have so many hexadecimal digits, for manifests that name none.
    const fn of_length(digits: usize) -> Option<Self> {
        match digits {
            32 => Some(Self::Md5),
            64 => Some(Self::Sha256),
            128 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// The usual spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
            Self::Md5 => "MD5",
        }
    }

    fn hash(self, reader: impl Read) -> std::io::Result<String> {
        match self {
            Self::Sha256 => digest::<Sha256>(reader),
            Self::Sha512 => digest::<Sha512>(reader),
            Self::Md5 => digest::<Md5>(reader),
        }
    }
}

fn digest<D: Digest>(mut reader: impl Read) -> std::io::Result<String> {
    let mut digest = D::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => digest.update(&buffer[..read]),
        }
    }
}

/// A line of a manifest: a file and the hash it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected<'a> {
    /// Within the package.
    pub path: &'a str,
    /// As written; empty: told from the hash's length.
    pub algorithm: &'a str,
    /// Hexadecimal, either case; empty: nothing is compared.
    pub hash: &'a str,
}

/// What is wrong with a file's hash.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HashProblem {
    /// The file is not what the manifest says.
    #[error("`{path}` has the {} {got}, and the manifest says {expected}: pack the package again", algorithm.as_str())]
    Mismatch {
        /// The file.
        path: String,
        /// The algorithm.
        algorithm: Algorithm,
        /// Lower-case hexadecimal.
        got: String,
        /// As the manifest says, lower case.
        expected: String,
    },
    /// The manifest names an algorithm that is not known.
    #[error("the hash of `{path}` cannot be compared: `{algorithm}` is not known; use SHA-256")]
    UnknownAlgorithm {
        /// The file.
        path: String,
        /// As written.
        algorithm: String,
    },
    /// The file cannot be read.
    #[error("`{path}` cannot be read: {reason}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

impl HashProblem {
    /// Whether this is worth a warning only, whatever the integrity setting says: MD5.
    #[must_use]
    pub const fn only_warns(&self) -> bool {
        matches!(self, Self::Mismatch { algorithm: Algorithm::Md5, .. })
    }
}

/// Compares the hashes of files with a manifest's, streaming. The answer has one element per line that is
/// wrong, with its index. Files that are not there are skipped: that is the descriptors' finding.
#[must_use]
pub fn verify(content: &ContentDir, expected: &[Expected<'_>]) -> Vec<(usize, HashProblem)> {
    let mut problems = Vec::new();
    for (index, line) in expected.iter().enumerate().filter(|(_, line)| !line.hash.is_empty()) {
        problems.extend(check(content, line).map(|problem| (index, problem)));
    }
    problems
}

fn check(content: &ContentDir, line: &Expected<'_>) -> Option<HashProblem> {
    let path = line.path.to_owned();
    let algorithm = if line.algorithm.is_empty() {
        Algorithm::of_length(line.hash.trim().len())
    } else {
        Algorithm::parse(line.algorithm)
    };
    let Some(algorithm) = algorithm else {
        let algorithm = line.algorithm.chars().take(40).collect();
        return Some(HashProblem::UnknownAlgorithm { path, algorithm });
    };
    let got = match content.file(line.path).and_then(|file| file.map(|file| algorithm.hash(file)).transpose())
    {
        Ok(Some(got)) => got,
        Ok(None) => return None,
        Err(error) => return Some(HashProblem::Unreadable { path, reason: error.to_string() }),
    };
    let expected: String = line.hash.trim().chars().take(160).map(|c| c.to_ascii_lowercase()).collect();
    (got != expected).then_some(HashProblem::Mismatch { path, algorithm, got, expected })
}
