//! What every test starts from.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Output;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use llcm_driver_docker::{DockerContainers, DockerOptions};
use llcm_names::{DcName, EngineName, IfName, InstallationId, Owner};
use llcm_runtime::{AttachPoint, BuildSpec, ContainerDriver, ContainerSpec, CpuLimit};

/// An image with busybox and nothing else, no command.
pub(crate) const BARE: &str = "llcm-driver-test:bare";
/// One whose own process says `ready` and then waits, and ends when asked.
pub(crate) const IMAGE: &str = "llcm-driver-test:ready";

/// One test's engine, driver and installation. Its containers are removed at the end, also after a failure.
pub(crate) struct Bed {
    pub(crate) driver: DockerContainers,
    pub(crate) owner: Owner,
    pub(crate) home: tempfile::TempDir,
    images: Mutex<Vec<String>>,
}

/// The engine's socket, if there is one to test against.
pub(crate) fn socket() -> Option<PathBuf> {
    let socket = std::env::var_os("LLCM_TEST_ENGINE").map(PathBuf::from);
    if socket.is_none() {
        let required = std::env::var("LLCM_REQUIRE_SYSTEM_TESTS").is_ok_and(|value| value == "1");
        assert!(!required, "LLCM_TEST_ENGINE is not set: run this under scripts/private-engine");
        println!("skipped: LLCM_TEST_ENGINE is not set");
    }
    socket
}

impl Bed {
    /// `None`: there is no engine to test against.
    pub(crate) async fn make() -> Option<Self> {
        let socket = socket()?;
        let home = tempfile::tempdir().unwrap();
        let driver = DockerContainers::connect(&DockerOptions::new(socket, home.path())).await.unwrap();
        let images = Mutex::default();
        Some(Self { driver, owner: fresh_owner(), home, images }.with_images().await)
    }

    async fn with_images(self) -> Self {
        // One at a time: tests run side by side.
        static IMAGES: tokio::sync::Mutex<bool> = tokio::sync::Mutex::const_new(false);
        let mut made = IMAGES.lock().await;
        if !*made {
            make_images(&self).await;
            *made = true;
        }
        drop(made);
        self
    }

    /// A container with nothing special.
    pub(crate) fn spec(&self, short: &str) -> ContainerSpec {
        ContainerSpec {
            owner: self.owner.clone(),
            name: EngineName::parse(&format!("mn.{}.{short}", self.owner.installation)).unwrap(),
            logical_name: short.to_owned(),
            datacenter: DcName::parse("dc1").unwrap(),
            image: IMAGE.to_owned(),
            environment: BTreeMap::from([("VNF_NAME".to_owned(), short.to_owned())]),
            cpu: CpuLimit::default(),
            memory_bytes: None,
            exposed: Vec::new(),
            published: Vec::new(),
            binds: Vec::new(),
            devices: Vec::new(),
            cap_add: Vec::new(),
            ipc_mode: None,
            interfaces: Vec::new(),
            management: None,
        }
    }

    pub(crate) async fn run(&self, spec: &ContainerSpec) -> AttachPoint {
        self.driver.create(spec).await.unwrap();
        self.driver.start(&spec.owner, &spec.name).await.unwrap()
    }

    /// Builds an image from a Dockerfile's text.
    pub(crate) async fn build(&self, tag: &str, dockerfile: &str) {
        let context = self.home.path().join(tag.replace(['/', ':'], "-"));
        std::fs::create_dir_all(&context).unwrap();
        std::fs::write(context.join("Dockerfile"), dockerfile).unwrap();
        let spec = BuildSpec { context, dockerfile: "Dockerfile".to_owned(), tag: tag.to_owned() };
        self.driver.build_image(&spec, &()).await.unwrap();
        self.forget_image(tag);
    }

    /// An image is to be removed at the end.
    pub(crate) fn forget_image(&self, tag: &str) {
        self.images.lock().unwrap().push(tag.to_owned());
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let label = format!("label=llcm.installation={}", self.owner.installation);
        let ids = docker(&["ps", "--all", "--quiet", "--filter", &label]);
        for id in ids.split_whitespace() {
            docker(&["rm", "--force", "--volumes", id]);
        }
        for image in self.images.lock().unwrap().iter().filter(|&image| image != IMAGE) {
            docker(&["rmi", image]);
        }
    }
}

/// An instance of an installation that no other test has.
pub(crate) fn fresh_owner() -> Owner {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let bits = std::process::id().rotate_left(12) ^ 0x0100_0000 ^ COUNT.fetch_add(1, Ordering::Relaxed);
    Owner {
        installation: InstallationId::from_bits(bits),
        instance: "00000001-0000-4000-8000-000000000000".parse().unwrap(),
    }
}

pub(crate) fn ifname(text: &str) -> IfName {
    IfName::parse(text).unwrap()
}

async fn make_images(bed: &Bed) {
    let busybox = ["/bin/busybox", "/usr/bin/busybox"].into_iter().find_map(|path| std::fs::read(path).ok());
    let busybox = busybox.expect("busybox is installed (scripts/setup-dev)");
    let mut archive = tar::Builder::new(Vec::new());
    let add = |archive: &mut tar::Builder<Vec<u8>>, path: &str, mode: u32, data: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        archive.append_data(&mut header, path, data).unwrap();
    };
    add(&mut archive, "bin/busybox", 0o755, &busybox);
    add(&mut archive, "etc/passwd", 0o644, b"root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/sh\n");
    for applet in
        ["sh", "cat", "sleep", "echo", "true", "ip", "id", "httpd", "kill", "pwd", "env", "touch", "seq"]
    {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, format!("bin/{applet}"), "busybox").unwrap();
    }
    let file = bed.home.path().join("image.tar");
    std::fs::write(&file, archive.into_inner().unwrap()).unwrap();
    docker(&["import", &file.display().to_string(), BARE]);
    let script = "trap 'exit 0' TERM; echo ready; while :; do sleep 1000 & wait; done";
    bed.build(IMAGE, &format!("FROM {BARE}\nCMD [\"/bin/sh\", \"-c\", \"{script}\"]\n")).await;
}

/// Runs the engine's own command line client, which must succeed, and returns its output.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = try_docker(arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {}: {error}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs the engine's own command line client.
pub(crate) fn try_docker(arguments: &[&str]) -> Output {
    let host = format!("unix://{}", socket().expect("there is an engine").display());
    let mut command = std::process::Command::new("docker");
    command.arg("--host").arg(host).args(arguments).stdin(std::process::Stdio::null());
    command.output().expect("docker is installed (scripts/setup-dev)")
}

/// A field of `docker inspect`, by its Go template.
pub(crate) fn inspect(name: &EngineName, field: &str) -> String {
    docker(&["inspect", "--type=container", "--format", &format!("{{{{json {field}}}}}"), name.as_str()])
        .trim()
        .to_owned()
}

/// The container's first process.
pub(crate) fn pid(name: &EngineName) -> u32 {
    inspect(name, ".State.Pid").parse().unwrap()
}

/// Waits until a condition holds, at most twenty seconds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what}: not within twenty seconds");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
