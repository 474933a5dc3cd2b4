//! The registry, and an image pushed to it and pulled from it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use llcm_driver_engine::{ImageSource as _, Registry, RegistryOptions};
use llcm_engine::image::ImageLimits;
use llcm_engine::image::store::ImageStore;
use llcm_runtime::ErrorKind;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

struct Running {
    child: Child,
    address: SocketAddr,
    directory: tempfile::TempDir,
}

impl Running {
    /// `None`: the program is not there.
    fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let program = root.join("target/test-tools/usr/bin/docker-registry");
        if !program.exists() {
            let required = std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|value| value == "1");
            assert!(!required, "{} is missing: run scripts/setup-dev --tests", program.display());
            println!("skipped: {} is missing", program.display());
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        // The port is free a moment later, too, unless somebody is very quick.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let config = directory.path().join("registry.yml");
        let storage = directory.path().join("storage");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: \"{address}\"}}\n",
            storage.display()
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Command::new(program);
        command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
        let running = Self { child: command.spawn().unwrap(), address, directory };
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < end, "the registry does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(running)
    }

    /// A request; gives the status and the header `Location`.
    fn send(&self, method: &str, path: &str, media_type: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let (address, length) = (self.address, body.len());
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {media_type}\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let location = answer.lines().find_map(|line| line.strip_prefix("Location: "));
        (status, location.unwrap_or_default().to_owned())
    }

    /// Pushes a blob and gives its descriptor.
    fn push(&self, media_type: &str, bytes: &[u8]) -> Value {
        let (status, location) = self.send("POST", "/v2/example/vnf/blobs/uploads/", "application/json", b"");
        assert_eq!(status, 202);
        let path = location.split_once(&self.address.to_string()).unwrap().1;
        let digest = digest(bytes);
        let path = format!("{path}&digest={digest}");
        assert_eq!(self.send("PUT", &path, "application/octet-stream", bytes).0, 201);
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Pushes a manifest under a tag, or its digest, and gives its descriptor.
    fn push_manifest(&self, tag: Option<&str>, manifest: &Value) -> Value {
        let bytes = manifest.to_string().into_bytes();
        let (digest, media_type) = (digest(&bytes), manifest["mediaType"].as_str().unwrap());
        let path = format!("/v2/example/vnf/manifests/{}", tag.unwrap_or(&digest));
        assert_eq!(self.send("PUT", &path, media_type, &bytes).0, 201, "{manifest}");
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold("sha256:".to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

/// A gzip layer with one file, and the digest of its plain bytes.
fn layer(name: &str, contents: &[u8]) -> (Vec<u8>, String) {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(contents.len().try_into().unwrap());
    header.set_mode(0o644);
    header.set_uid(rustix::process::geteuid().as_raw().into());
    header.set_gid(rustix::process::getegid().as_raw().into());
    builder.append_data(&mut header, name, contents).unwrap();
    let plain = builder.into_inner().unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    (gzip.finish().unwrap(), digest(&plain))
}

#[tokio::test]
async fn an_image_comes_from_the_registry_that_everybody_runs() {
    let Some(registry) = Running::start() else { return };
    // Bytes without a pattern, so that the layer is large: it comes in many pieces.
    let noise: Vec<u8> = (0..30_000_u32).flat_map(|number| Sha256::digest(number.to_le_bytes())).collect();
    let layers = [layer("bottom", &noise), layer("top", b"hello")];
    let diff_ids: Vec<_> = layers.iter().map(|(_, diff_id)| diff_id).collect();
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "os": "linux", "architecture": architecture, "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = config.to_string().into_bytes();
    let layer_type = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    let manifest_type = "application/vnd.docker.distribution.manifest.v2+json";
    let manifest = json!({
        "schemaVersion": 2, "mediaType": manifest_type,
        "config": registry.push("application/vnd.docker.container.image.v1+json", &config),
        "layers": layers.iter().map(|(bytes, _)| registry.push(layer_type, bytes)).collect::<Vec<_>>(),
    });
    let mut ours = registry.push_manifest(None, &manifest);
    ours["platform"] = json!({"os": "linux", "architecture": architecture});
    registry.push_manifest(Some("1"), &manifest);
    let list_type = "application/vnd.docker.distribution.manifest.list.v2+json";
    let list = json!({"schemaVersion": 2, "mediaType": list_type, "manifests": [ours]});
    registry.push_manifest(Some("latest"), &list);

    let source = Registry::new(RegistryOptions::default()).unwrap();
    let store = ImageStore::open(&registry.directory.path().join("store"), ImageLimits::default()).unwrap();
    let name = format!("{}/example/vnf", registry.address);
    let by_name = format!("localhost:{}/example/vnf", registry.address.port());
    for reference in [format!("{name}:1"), name.clone(), by_name] {
        assert_eq!(source.digest(&reference).await.unwrap(), Some(digest(&config)));
        let into = tempfile::tempdir().unwrap();
        let layout: PathBuf = source.fetch(&reference, into.path(), &()).await.unwrap().unwrap();
        store.load_from(&layout, Some(&reference), Some(source.name())).unwrap();
        let image = store.find(&reference).unwrap();
        assert_eq!((image.id, image.config.cmd), (digest(&config), vec!["/bin/sh".to_owned()]));
        let file = |layer: usize, name: &str| store.layers_dir().join(&image.layers[layer]).join(name);
        assert!(std::fs::read(file(0, "bottom")).unwrap() == noise);
        assert_eq!(std::fs::read(file(1, "top")).unwrap(), b"hello");
        assert_eq!(store.origin(&reference).unwrap().as_deref(), Some(source.name()));
    }
    let into = tempfile::tempdir().unwrap();
    for absent in [format!("{name}:none"), format!("{}/none", registry.address)] {
        assert_eq!(source.fetch(&absent, into.path(), &()).await.unwrap(), None);
        assert_eq!(source.digest(&absent).await.unwrap(), None);
        let error = source.pull(&absent, into.path(), &()).await.unwrap_err();
        assert!(error.kind == ErrorKind::NotFound && error.message.contains("unknown"), "{error}");
    }
}
