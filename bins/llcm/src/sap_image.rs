//! The image of service access points for Docker: this host's own tools with the libraries that they need, built
//! where there is none yet. The embedded engine takes its built-in image instead.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, anyhow, bail};
use llcm_lifecycle::plan::SAP_IMAGE;
use llcm_lifecycle::settings::SapSettings;
use llcm_runtime::{BuildSpec, ContainerDriver, ErrorKind, PullPolicy};

use crate::tools;

/// What people send traffic with and look at it; those that the host has are taken.
const TOOLS: &[&str] = &[
    "arping",
    "awk",
    "bash",
    "cat",
    "chmod",
    "cp",
    "curl",
    "cut",
    "date",
    "dd",
    "dig",
    "env",
    "grep",
    "head",
    "host",
    "hostname",
    "id",
    "ip",
    "iperf",
    "iperf3",
    "kill",
    "ls",
    "mkdir",
    "mtr",
    "nc",
    "nping",
    "ping",
    "ps",
    "python3.11",
    "rm",
    "sed",
    "seq",
    "sleep",
    "socat",
    "ss",
    "tail",
    "tc",
    "tcpdump",
    "tee",
    "timeout",
    "touch",
    "tr",
    "traceroute",
    "true",
    "uname",
    "wc",
    "wget",
];

/// Where programs are.
const PATH: &[&str] = &["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// Makes sure that the engine has the image, unless the settings name another one.
///
/// # Errors
/// When it cannot be built, with what to do.
pub(crate) async fn ensure(engine: &dyn ContainerDriver, settings: &SapSettings) -> anyhow::Result<()> {
    if settings.image.is_some() || settings.vnfd.is_some() {
        return Ok(());
    }
    match engine.ensure_image(SAP_IMAGE, PullPolicy::Never, &()).await {
        Err(error) if error.kind == ErrorKind::NotFound => {}
        found => return found.map(|_view| ()).map_err(|error| anyhow!(error)),
    }
    let context = tempfile::tempdir().context("cannot make a directory for the image of access points")?;
    let directory = context.path().to_owned();
    let filled = tokio::task::spawn_blocking(move || fill(&directory)).await;
    let why =
        || format!("cannot build {SAP_IMAGE}, the image of access points; --sap-image names another one");
    filled.context("a thread ended abnormally")?.with_context(why)?;
    let spec = BuildSpec {
        context: context.path().to_owned(),
        dockerfile: "Dockerfile".to_owned(),
        tag: SAP_IMAGE.to_owned(),
    };
    log::info!("building {SAP_IMAGE}, the image of service access points, of this host's tools");
    engine.build_image(&spec, &()).await.map_err(|error| anyhow!(error)).with_context(why)?;
    Ok(())
}

/// Writes the Dockerfile and the root file system.
fn fill(directory: &Path) -> anyhow::Result<()> {
    let root = directory.join("rootfs");
    for place in ["usr/bin", "usr/lib", "usr/lib64", "etc", "root", "tmp", "var/tmp"] {
        fs::create_dir_all(root.join(place))?;
    }
    for (link, to) in [
        ("bin", "usr/bin"),
        ("sbin", "usr/bin"),
        ("lib", "usr/lib"),
        ("lib64", "usr/lib64"),
        ("usr/sbin", "bin"),
    ] {
        symlink(to, root.join(link))?;
    }
    fs::write(
        root.join("etc/passwd"),
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    )?;
    fs::write(root.join("etc/group"), "root:x:0:\nnogroup:x:65534:\n")?;
    let Some(shell) = find("sh") else { bail!("this host has no /bin/sh") };
    let mut taken = BTreeSet::new();
    copy_program(&shell, "sh", &root, &mut taken)?;
    for name in TOOLS {
        if let Some(program) = find(name) {
            copy_program(&program, name, &root, &mut taken)?;
        }
    }
    let missing: Vec<String> = tools::names().into_iter().filter(|name| find(name).is_none()).collect();
    if !missing.is_empty() {
        // This program is these tools under other names.
        let own = std::env::current_exe().context("cannot find this program's own file")?;
        copy_program(&own, "llcm", &root, &mut taken)?;
        for name in missing {
            symlink("llcm", root.join("usr/bin").join(name))?;
        }
    }
    fs::write(
        directory.join("Dockerfile"),
        "FROM scratch\nCOPY rootfs/ /\nWORKDIR /root\nCMD [\"/bin/sh\"]\n",
    )?;
    Ok(())
}

fn find(name: &str) -> Option<PathBuf> {
    PATH.iter().map(|directory| Path::new(directory).join(name)).find(|path| path.is_file())
}

/// Copies a program and what it is linked with.
fn copy_program(
    program: &Path,
    name: &str,
    root: &Path,
    taken: &mut BTreeSet<PathBuf>,
) -> anyhow::Result<()> {
    let copy = |from: &Path, to: &Path| {
        if let Some(directory) = to.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::copy(from, to).map(|_bytes| ())
    };
    for library in libraries(program)? {
        let Ok(within) = fs::canonicalize(library.parent().unwrap_or(Path::new("/")))
            .map(|directory| directory.join(library.file_name().unwrap_or_default()))
        else {
            continue;
        };
        if taken.insert(within.clone()) {
            let to = root.join(within.strip_prefix("/").unwrap_or(&within));
            copy(&library, &to).with_context(|| format!("cannot copy {}", library.display()))?;
        }
    }
    let to = root.join("usr/bin").join(name);
    copy(program, &to).with_context(|| format!("cannot copy {}", program.display()))
}

/// The libraries of a program, its loader among them, as the loader itself lists them. A program that is linked
/// statically, or is a script, has none.
fn libraries(program: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let listed = Command::new("ldd")
        .arg(program)
        .output()
        .context("cannot run `ldd`, which comes with the C library")?;
    let text = String::from_utf8_lossy(&listed.stdout);
    let path = |line: &str| {
        let words = line.split_whitespace();
        words.into_iter().find(|word| word.starts_with('/')).map(PathBuf::from)
    };
    Ok(text.lines().filter_map(path).collect())
}
