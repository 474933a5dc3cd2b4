//! What runs the containers in a lab, and how they are looked at: by Docker's own client, or by the embedded
//! engine's files and the kernel's.

use std::collections::BTreeSet;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;

use llcm_testkit::process::copy_program;
use serde_json::Value;

use crate::lab::{Lab, script, text};

/// What runs the containers, and who runs the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    /// A private Docker engine; the program runs as root.
    Docker,
    /// The embedded engine, as root.
    Embedded,
    /// The embedded engine, as an ordinary user that nobody knows.
    User,
}

/// The ordinary user: a number that no account has.
pub(crate) const USER: u32 = 23_456;

/// Makes a test of each function for each engine: `on_each_engine!(function, ...)` calls `function(On)`.
macro_rules! on_each_engine {
    ($($test:ident),+ $(,)?) => { $(
        mod $test {
            use crate::engine::On;

            #[test]
            fn docker() {
                super::$test(On::Docker);
            }

            #[test]
            fn embedded() {
                super::$test(On::Embedded);
            }

            #[test]
            fn embedded_as_an_ordinary_user() {
                super::$test(On::User);
            }
        }
    )+ };
}
pub(crate) use on_each_engine;

/// A running container, as it is seen from outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) datacenter: String,
    pub(crate) image: String,
}

impl Lab {
    pub(crate) fn has_docker(&self) -> bool {
        self.on == On::Docker
    }

    /// The names of all containers that there are, running or not. A server may have both engines.
    pub(crate) fn containers(&self) -> BTreeSet<String> {
        let mut all = self.embedded_containers();
        if self.has_docker() {
            let listed = self.docker(&["ps", "-a", "--format", "{{.Names}}"]);
            all.extend(listed.lines().map(str::to_owned));
        }
        all
    }

    /// The names of those of the embedded engine.
    pub(crate) fn embedded_containers(&self) -> BTreeSet<String> {
        names(&self.engine_dir().join("containers"))
    }

    /// The running containers, by name.
    pub(crate) fn running(&self) -> Vec<Seen> {
        let embedded = self.embedded_containers().into_iter();
        let mut seen: Vec<_> = embedded
            .filter(|name| self.find_pid(name).is_some())
            .map(|name| self.seen_on_disk(&name))
            .collect();
        if self.has_docker() {
            let format = "{{.Names}} {{.Label \"llcm.datacenter\"}} {{.Image}}";
            seen.extend(self.docker(&["ps", "--format", format]).lines().map(self::seen));
        }
        seen.sort();
        seen
    }

    fn seen_on_disk(&self, name: &str) -> Seen {
        let labels = &self.state_of(name, "spec.json").expect("it was listed")["spec"]["labels"];
        let label = |key: &str| labels[key].as_str().unwrap().to_owned();
        Seen { name: name.to_owned(), datacenter: label("llcm.datacenter"), image: label("llcm.image") }
    }

    /// A container's first process, if it runs.
    pub(crate) fn find_pid(&self, container: &str) -> Option<String> {
        if self.is_in_docker(container) {
            let pid = self.docker(&["inspect", "-f", "{{.State.Pid}}", container]);
            return Some(pid.trim().to_owned()).filter(|pid| pid != "0");
        }
        let pid = self.state_of(container, "state.json")?["running"]["pid"].as_u64()?.to_string();
        Path::new("/proc").join(&pid).join("ns/net").exists().then_some(pid)
    }

    fn is_in_docker(&self, container: &str) -> bool {
        self.has_docker() && !self.embedded_containers().contains(container)
    }

    /// A container's first process.
    pub(crate) fn pid(&self, container: &str) -> String {
        self.find_pid(container).unwrap_or_else(|| panic!("{container} does not run"))
    }

    /// Runs a shell script in a container, not through the program under test; it must succeed.
    pub(crate) fn sh(&self, container: &str, script: &str) -> String {
        if self.is_in_docker(container) {
            return self.docker(&["exec", container, "sh", "-c", script]);
        }
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid(container), "--mount", "--uts", "--ipc", "--net", "--pid"]);
        let out = command.args(["--", "/bin/sh", "-c", script]).output().unwrap();
        assert!(out.status.success(), "{container}: {script}: {}", text(&out));
        String::from_utf8(out.stdout).unwrap()
    }

    fn engine_dir(&self) -> PathBuf {
        self.data().join("engine")
    }

    fn state_of(&self, container: &str, file: &str) -> Option<Value> {
        let path = self.engine_dir().join("containers").join(container).join(file);
        serde_json::from_slice(&std::fs::read(path).ok()?).ok()
    }

    /// Gives the test image, busybox and little else, the names that a package asks for.
    pub(crate) fn image(&self, tags: &[&str]) {
        if self.has_docker() {
            let args: Vec<_> = ["image", self.name.as_str()].iter().chain(tags).copied().collect();
            let out = script(&args);
            assert!(out.status.success(), "image {tags:?}: {}", text(&out));
            return;
        }
        let archive = self.dir.path().join("image.tar");
        let out = script(&["image-tree", &self.name, archive.to_str().unwrap()]);
        assert!(out.status.success(), "image {tags:?}: {}", text(&out));
        self.give(&archive);
        for tag in tags {
            let mut import = self.program();
            import.args(["image", "import", "--name", tag, "--data-dir"]).arg(self.data()).arg(&archive);
            let out = import.args(["--", "/bin/sh"]).output().unwrap();
            assert!(out.status.success(), "image {tag}: {}", text(&out));
        }
    }

    /// What of containers is left, in words: containers, processes, mounts, control groups.
    pub(crate) fn leftovers_of_containers(&self) -> Vec<String> {
        let mut left: Vec<_> =
            self.containers().into_iter().map(|name| format!("container {name}")).collect();
        let data = self.data().to_str().unwrap().to_owned();
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        left.extend(mounts.lines().filter(|line| line.contains(&data)).map(|line| format!("mount {line}")));
        let installation = std::fs::read_to_string(self.data().join("installation")).unwrap_or_default();
        let group = format!("llcm-{}", installation.trim());
        for hierarchy in names(Path::new("/sys/fs/cgroup")) {
            let directory = Path::new("/sys/fs/cgroup").join(hierarchy).join(&group);
            if directory.exists() {
                left.push(format!("control group {}", directory.display()));
            }
        }
        left
    }

    /// Hands a file or directory to the user that the program runs as.
    pub(crate) fn give(&self, path: &Path) {
        if self.on == On::User {
            chown(path, Some(USER), Some(USER)).unwrap();
        }
    }

    /// The program under test, in the lab, as the user that it runs as.
    pub(crate) fn program(&self) -> Command {
        if self.on != On::User {
            return self.command(env!("CARGO_BIN_EXE_llcm"));
        }
        // The build directory may be closed to other users.
        let copy = self.dir.path().join("llcm");
        if !copy.exists() {
            copy_program(env!("CARGO_BIN_EXE_llcm").as_ref(), &copy);
        }
        let user = USER.to_string();
        let mut command = self.command("setpriv");
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]).arg(copy);
        command
    }
}

fn seen(line: &str) -> Seen {
    let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
    let [name, datacenter, image] = words.try_into().expect("three words");
    Seen { name, datacenter, image }
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}
