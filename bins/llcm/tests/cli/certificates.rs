//! An authority of a test's own, and certificates of it, as files.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, KeyPair};

pub(crate) struct Authority {
    certificate: Certificate,
    key: KeyPair,
    dir: PathBuf,
}

impl Authority {
    /// A new authority, whose certificate is `NAME.pem` in a directory.
    pub(crate) fn new(dir: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
        Self { certificate, key, dir: dir.to_owned() }
    }

    /// The certificate and the key of a server that is called by some names: two files.
    pub(crate) fn issue(&self, file: &str, names: &[&str]) -> (String, String) {
        let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(names).unwrap().signed_by(&key, &self.certificate, &self.key).unwrap();
        let path = |suffix: &str| self.dir.join(format!("{file}.{suffix}")).to_str().unwrap().to_owned();
        let (cert_file, key_file) = (path("cert.pem"), path("key.pem"));
        fs::write(&cert_file, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        (cert_file, key_file)
    }
}
