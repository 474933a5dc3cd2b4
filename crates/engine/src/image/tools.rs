//! Tools that the built-in image has beside the host's programs: one executable under several names.
//!
//! The links to it are a layer of their own on top of the base, named by what is in it, so that the base is the
//! same for all and a container keeps the names that it was made with.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::Image;
use crate::error::{Context as _, EngineError};
use crate::files::remove_tree;
use crate::spec::Bind;

/// Where containers find them: the last directory of the image's `PATH`, so that the host's own programs win.
pub(crate) const DIRECTORY: &str = "/opt/llcm/bin";

/// The executable's name in [`DIRECTORY`].
const PROGRAM: &str = "llcm";

/// A container's record names its layers, and the kernel takes a page of text for all of them.
const LONGEST: usize = 200;

/// Tools for containers of [`super::HOST_IMAGE`], for machines where the usual ones are not installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostTools {
    /// The executable; it tells by the name it is called by, its first argument, which of them it is to be.
    /// `/proc/self/exe`, the running program, is resolved when the engine is opened: the kernel binds no file
    /// of another mount namespace, and a helper's executable is one.
    pub program: PathBuf,
    /// Names of the tools: `a-z 0-9 -`.
    pub names: Vec<String>,
}

impl HostTools {
    /// Checks the names and finds the executable.
    pub(crate) fn resolved(self) -> Result<Self, EngineError> {
        let allowed = |name: &String| {
            let of_the_set = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
            !name.is_empty() && name.bytes().all(of_the_set) && name != PROGRAM
        };
        if let Some(name) = self.names.iter().find(|name| !allowed(name)) {
            return Err(EngineError::Invalid(format!(
                "`{name}` cannot be the name of a tool: use a-z, 0-9, -"
            )));
        }
        if self.names.is_empty() || layer(&self.names).len() > LONGEST {
            let text = "there must be tools, with names that are not too long together";
            return Err(EngineError::Invalid(text.to_owned()));
        }
        let program = self.program.canonicalize().context("resolve", &self.program)?;
        Ok(Self { program, ..self })
    }

    /// What binds the executable into a container of `image`, if that has these tools.
    pub(crate) fn bind(&self, image: &Image) -> Option<Bind> {
        image.layers.contains(&layer(&self.names)).then(|| Bind {
            host: self.program.clone(),
            container: Path::new(DIRECTORY).join(PROGRAM),
            read_only: true,
        })
    }
}

/// The layer's directory.
pub(crate) fn layer(names: &[String]) -> String {
    format!("host-tools.{}", names.join("."))
}

/// Makes the layer in `layers`, under another name first, so that it is whole when it is there.
pub(crate) fn make(layers: &Path, names: &[String]) -> Result<(), EngineError> {
    let made = layers.join(layer(names));
    if made.is_dir() {
        return Ok(());
    }
    let staged = layers.join("host-tools.new");
    remove_tree(&staged)?;
    let mut directory = staged.clone();
    let below = Path::new(DIRECTORY).strip_prefix("/").unwrap_or(Path::new(DIRECTORY));
    super::store::make_readable_dir(&directory)?;
    for part in below {
        directory.push(part);
        super::store::make_readable_dir(&directory)?;
    }
    // Something to bind the executable on.
    let program = directory.join(PROGRAM);
    fs::write(&program, "").context("create", &program)?;
    for name in names {
        let link = directory.join(name);
        symlink(PROGRAM, &link).context("make link", &link)?;
    }
    fs::rename(&staged, &made).context("rename", &staged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::store::ImageStore;
    use crate::image::{HOST_IMAGE, ImageLimits};

    fn tools(names: &[&str]) -> HostTools {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        HostTools { program: "/proc/self/exe".into(), names }
    }

    #[test]
    fn names_are_those_of_files_in_one_directory() {
        for names in [&[][..], &[""], &["a/b"], &[".."], &["Ping"], &["a.b"], &["a:b"], &["llcm"]] {
            assert!(matches!(tools(names).resolved(), Err(EngineError::Invalid(_))), "{names:?}");
        }
        assert!(matches!(tools(&["x".repeat(300).as_str()]).resolved(), Err(EngineError::Invalid(_))));
        let resolved = tools(&["ping", "tcp-relay"]).resolved().unwrap();
        assert_eq!(resolved.program, std::env::current_exe().unwrap().canonicalize().unwrap());
        let missing = HostTools { program: "/nonexistent".into(), ..tools(&["ping"]) };
        assert!(matches!(missing.resolved(), Err(EngineError::System { .. })));
    }

    #[test]
    fn the_image_has_them_only_when_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let store = ImageStore::open(directory.path(), ImageLimits::default()).unwrap();
        let without = store.find(HOST_IMAGE).unwrap();
        let tools = tools(&["ping", "fetch"]).resolved().unwrap();
        assert_eq!(tools.bind(&without), None);
        assert!(!without.config.env.concat().contains(DIRECTORY));
        assert!(!directory.path().join("layers/host/opt/llcm").exists());

        let with = store.clone().with_tools(Some(&tools)).find(HOST_IMAGE).unwrap();
        assert_eq!(with.layers, ["host", "host-tools.ping.fetch"]);
        let path = with.config.env.iter().find_map(|it| it.strip_prefix("PATH=")).unwrap();
        assert!(path.starts_with("/usr/local/sbin:") && path.ends_with(":/bin:/opt/llcm/bin"), "{path}");
        let bind = tools.bind(&with).unwrap();
        assert_eq!((bind.container.to_str(), bind.read_only), (Some("/opt/llcm/bin/llcm"), true));
        let links = directory.path().join("layers/host-tools.ping.fetch/opt/llcm/bin");
        for name in ["ping", "fetch"] {
            assert_eq!(fs::read_link(links.join(name)).unwrap(), Path::new("llcm"));
        }
        // Other names are another layer: a container made before keeps what it has.
        let fewer = HostTools { names: vec!["ping".to_owned()], ..tools };
        let fewer = store.clone().with_tools(Some(&fewer)).find(HOST_IMAGE).unwrap();
        assert_eq!(fewer.layers, ["host", "host-tools.ping"]);
        assert!(links.join("fetch").is_symlink());
        assert_eq!(store.find(HOST_IMAGE).unwrap(), without);
    }
}
