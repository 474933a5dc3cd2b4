//! Registries honest and hostile, played by a few lines on loopback.

mod auth;
mod bodies;
mod honest;
mod image;
mod server;

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use llcm_engine::image::{ImageLimits, store::ImageStore};
use llcm_runtime::{DriverResult, ErrorKind, Progress, ProgressEvent};

use super::manifest::Platform;
use super::{Registry, RegistryDeadlines, RegistryOptions};
use image::{Packed, Repository, Words};
use server::{Reply, Server};

/// Options for tests: nothing is waited for on purpose, and what a busy machine does late is not taken for silence.
fn options() -> RegistryOptions {
    let deadlines = RegistryDeadlines {
        connect: Duration::from_secs(20),
        silence: Duration::from_secs(20),
        back_off: Duration::from_millis(5),
    };
    RegistryOptions { attempts: 3, deadlines, ..RegistryOptions::default() }
}

/// As above, with little patience where a registry will say nothing.
fn options_for(reply: &Reply) -> RegistryOptions {
    let mut options = options();
    if reply.is_silence() {
        options.deadlines.silence = Duration::from_secs(1);
    }
    options
}

/// A pull, with what was told of it.
struct Pulled {
    directory: tempfile::TempDir,
    result: DriverResult<PathBuf>,
    events: Vec<ProgressEvent>,
}

impl Pulled {
    fn error(&self) -> (ErrorKind, &str) {
        let error = self.result.as_ref().expect_err("it must be refused");
        (error.kind, &error.message)
    }

    /// Loads the layout; gives the image's digest and the names of the files in it.
    fn loaded(&self, reference: &str) -> (String, Vec<String>) {
        let layout = self.result.as_ref().unwrap();
        assert!(layout.starts_with(self.directory.path()));
        let store = ImageStore::open(&self.directory.path().join("store"), ImageLimits::default()).unwrap();
        store.load(layout, Some(reference)).unwrap();
        let image = store.find(reference).unwrap();
        let mut files = Vec::new();
        for layer in &image.layers {
            for entry in std::fs::read_dir(store.layers_dir().join(layer)).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                assert_eq!(std::fs::read_to_string(&path).unwrap(), name);
                files.push(name);
            }
        }
        (image.id, files)
    }
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<ProgressEvent>>);

impl Progress for Heard {
    fn report(&self, event: ProgressEvent) {
        self.0.lock().unwrap().push(event);
    }
}

async fn pull_with(options: RegistryOptions, reference: &str) -> Pulled {
    let directory = tempfile::tempdir().unwrap();
    let into = directory.path().join("into");
    std::fs::create_dir(&into).unwrap();
    let heard = Heard::default();
    let result = Registry::new(options).unwrap().pull(reference, &into, &heard).await;
    Pulled { directory, result, events: heard.0.into_inner().unwrap() }
}

async fn pull(reference: &str) -> Pulled {
    pull_with(options(), reference).await
}

/// The reference of `vnf` on a played server.
fn vnf(server: &Server) -> String {
    format!("{}/vnf:1", server.address)
}

/// A repository with the image `vnf:1`; gives the digests of its manifest and its configuration.
fn usual() -> (Repository, String, String) {
    let mut repository = Repository::default();
    let (manifest, config) =
        repository.image(Words::Oci, Packed::Gzip, &["bottom", "top"], &Platform::ours());
    repository.tag("1", &manifest);
    (repository, manifest, config)
}
