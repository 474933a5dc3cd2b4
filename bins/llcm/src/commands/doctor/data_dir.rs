//! The data directory, looked at and not touched: it need not be there, and a server may have it.

use std::io::ErrorKind;
use std::path::Path;

use llcm_driver_linux::LinuxNetwork;
use llcm_engine::Seen;
use llcm_lifecycle::installation::find_installation_id;
use llcm_lifecycle::store::file::{self, FileStore};
use llcm_names::InstallationId;
use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::findings::DataDir;
use crate::compose::told;
use crate::config::engine_dir;

/// Looks at a data directory as this user; gives also the installation's id, if it has one.
pub(super) fn look(path: &Path) -> (DataDir, Option<InstallationId>) {
    let id = find_installation_id(path).map_err(|error| told(&error));
    let store = path.join(file::FILE);
    let in_use = FileStore::is_in_use(&store).map_err(|error| error.to_string());
    let usable = may_write(path).and_then(|()| {
        id.clone()?;
        in_use.clone()?;
        if store.exists() { may_write(&store) } else { Ok(()) }
    });
    let id = id.unwrap_or_default();
    let network = llcm_driver_linux::Options::default();
    let datacenters = id.as_ref().map(|id| LinuxNetwork::find_datacenters(id, &network));
    let found = DataDir {
        path: path.to_owned(),
        usable,
        installation: id.as_ref().map(ToString::to_string),
        has_server: in_use.unwrap_or_default(),
        engine: Seen::look(&engine_dir(path)).map_err(|error| format!("{:#}", anyhow::Error::new(error))),
        // Namespaces that cannot be listed are nobody's but root's.
        datacenters: datacenters
            .and_then(Result::ok)
            .into_iter()
            .flatten()
            .map(|name| name.to_string())
            .collect(),
    };
    (found, id)
}

/// Whether this user may write to a file or directory, or make it where it is not there.
fn may_write(path: &Path) -> Result<(), String> {
    let path = std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))?;
    for place in path.ancestors() {
        let access = match std::fs::metadata(place) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("cannot look at {}: {error}", place.display())),
            Ok(found) if found.is_dir() => Access::WRITE_OK | Access::EXEC_OK,
            Ok(_) if place != path => return Err(format!("{} is no directory", place.display())),
            Ok(_) => Access::WRITE_OK,
        };
        return accessat(CWD, place, access, AtFlags::EACCESS)
            .map_err(|error| format!("{} cannot be written by this user: {error}", place.display()));
    }
    Err(format!("there is nothing to make {} in", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_is_not_there_is_not_made() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("a/b");
        let (found, id) = look(&path);
        assert_eq!((found.usable, id, found.has_server), (Ok(()), None, false));
        assert_eq!(found.engine, Ok(Seen::default()));
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_is_wrong_with_it_is_told() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        std::fs::write(&file, "").unwrap();
        let why = look(&file.join("data")).0.usable.unwrap_err();
        assert!(why.contains("ot a directory") || why.contains("is no directory"), "{why}");
        let data = base.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(data.join("installation"), "garbage").unwrap();
        let why = look(&data).0.usable.unwrap_err();
        assert!(why.contains("8 lower-case hexadecimal digits"), "{why}");
        std::fs::write(data.join("installation"), "0a0b0c0d\n").unwrap();
        let (found, id) = look(&data);
        assert_eq!((found.usable, found.installation.as_deref()), (Ok(()), Some("0a0b0c0d")));
        assert!(id.is_some());
        std::fs::write(data.join(file::FILE), "this is no store").unwrap();
        assert!(look(&data).0.usable.unwrap_err().contains("store.redb"));
    }

    #[test]
    fn a_server_that_has_it_is_seen_and_not_disturbed() {
        let base = tempfile::tempdir().unwrap();
        let store = FileStore::open(&base.path().join(file::FILE)).unwrap();
        let (found, _) = look(base.path());
        assert_eq!((found.usable, found.has_server), (Ok(()), true));
        drop(store);
        assert!(!look(base.path()).0.has_server);
    }
}
