//! The server's records and what it leaves, looked after without a server.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

use llcm_testkit::process::copy_program;

use crate::run::{Server, command, demo_package, finish, llcm};

/// A data directory that a server was killed on; the simulated host goes with it.
fn killed(dir: &Path) -> String {
    let data = dir.join("data");
    let server = Server::start(&data, &[]);
    server.llcm(&["up", &demo_package(dir)]).expect(0);
    let data = data.to_str().unwrap().to_owned();
    for args in
        [&["store", "repair"][..], &["store", "restore", "/dev/null"], &["clean", "--engine", "simulated"]]
    {
        let error = llcm(&[args, &["--data-dir", &data]].concat()).expect_error(1);
        assert!(error.contains("another server runs on this data directory"), "{args:?}: {error}");
    }
    let running = llcm(&["store", "check", "--data-dir", &data]).expect(0);
    assert!(running.contains("in order: 1 services, 1 live and 0 failed instances, 1 requests"), "{running}");
    let backup = dir.join("backup");
    llcm(&["store", "backup", backup.to_str().unwrap(), "--data-dir", &data]).expect(0);
    drop(server);
    data
}

fn serve_refused(data: &str) -> String {
    let args = ["serve", "--listen", "127.0.0.1:0", "--engine", "simulated", "--data-dir", data];
    finish(command(&args).spawn().unwrap()).expect_error(1)
}

#[test]
fn a_damaged_store_is_refused_checked_repaired_and_restored() {
    let dir = tempfile::tempdir().unwrap();
    let data = killed(dir.path());
    let store = Path::new(&data).join("store.redb");
    let in_order = llcm(&["store", "check", "--data-dir", &data]).expect(0);
    assert!(
        in_order.contains("in order: 1 services"),
        "what a killed server leaves is no damage: {in_order}"
    );
    let whole = fs::read(&store).unwrap();
    fs::write(&store, &whole[..whole.len() / 2]).unwrap();
    let error = serve_refused(&data);
    for expected in
        ["is damaged", "Nothing was changed", "llcm store check", "llcm store repair", "llcm store restore"]
    {
        assert!(error.contains(expected), "{expected} is missing in: {error}");
    }
    let checked = llcm(&["store", "check", "--data-dir", &data]);
    assert_eq!(checked.code, Some(1));
    assert!(
        checked.out.contains("can be read: ") && checked.out.contains("llcm clean --dry-run"),
        "{}",
        checked.out
    );
    assert_eq!(fs::read(&store).unwrap().len(), whole.len() / 2);

    let repaired = llcm(&["store", "repair", "--data-dir", &data]).expect(0);
    assert!(repaired.contains("lost: ") && repaired.contains("store.redb.old-1"), "{repaired}");
    assert_eq!(fs::read(Path::new(&data).join("store.redb.old-1")).unwrap().len(), whole.len() / 2);
    let backup = dir.path().join("backup");
    let restored = llcm(&["store", "restore", backup.to_str().unwrap(), "--data-dir", &data]).expect(0);
    assert!(restored.contains("1 services, 1 live") && restored.contains("store.redb.old-2"), "{restored}");
    let server = Server::start(Path::new(&data), &[]);
    assert_eq!(server.llcm(&["ps", "--output", "json"]).json()[0]["state"], "degraded", "its host is gone");
    assert_eq!(server.stop(), Some(0));

    // Missing altogether.
    fs::remove_file(&store).unwrap();
    let error = serve_refused(&data);
    assert!(error.contains("is missing") && error.contains("llcm store restore"), "{error}");
    assert!(!store.exists());
}

/// As with every other engine: no other one would help.
#[test]
fn a_data_directory_whose_engine_is_in_use_has_another_server() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    // Only its owner may write to it, whatever the umask says.
    for path in [&data, &data.join("engine")] {
        fs::DirBuilder::new().mode(0o700).create(path).unwrap();
    }
    // What the engine locks: as root a file, otherwise the directory.
    let file = fs::File::create(data.join("engine/lock")).unwrap();
    let directory = fs::File::open(data.join("engine")).unwrap();
    file.try_lock().unwrap();
    directory.try_lock().unwrap();
    fs::write(data.join("installation"), "0a0b0c0d\n").unwrap();
    let data = data.to_str().unwrap();
    for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["clean"]] {
        let error = llcm(&[args, &["--engine", "embedded", "--data-dir", data]].concat()).expect_error(1);
        assert!(
            error.contains(&format!("{data} is in use: another server runs on this data directory")),
            "{args:?}: {error}"
        );
        assert!(!error.contains("--engine"), "{args:?}: {error}");
    }
}

#[test]
fn clean_removes_the_data_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    let none = ["clean", "--data", "--engine", "simulated", "--data-dir", nowhere.to_str().unwrap()];
    assert!(llcm(&none).expect(0).contains("nothing is to be removed"));
    let data = killed(dir.path());
    let clean = |more: &[&str]| {
        let args = [&["clean", "--engine", "simulated", "--data-dir", &data], more].concat();
        llcm(&args).expect(0)
    };
    let would = clean(&["--dry-run", "--data"]);
    assert!(would.contains(&format!("would remove {data}")), "{would}");
    let kept = clean(&[]);
    assert!(kept.contains("is left") && kept.contains("the records are kept"), "{kept}");
    assert!(Path::new(&data).join("store.redb").exists());
    let removed = clean(&["--data"]);
    assert!(removed.contains(&format!("removed {data}")), "{removed}");
    assert!(!Path::new(&data).exists());
    assert!(dir.path().join("backup").exists());
}

/// A store that another user may not read is no damage, and none of that user's business.
#[test]
fn a_store_of_another_user_is_told_of() {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    if !crate::run::is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let data = killed(dir.path());
    let store = Path::new(&data).join("store.redb");
    let before = fs::read(&store).unwrap();
    fs::set_permissions(&store, fs::Permissions::from_mode(0o600)).unwrap();
    // The build directory may be closed to others.
    let program = dir.path().join("llcm");
    copy_program(env!("CARGO_BIN_EXE_llcm").as_ref(), &program);
    for path in [dir.path(), &program, Path::new(&data)] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for path in [Path::new(&data), &Path::new(&data).join("installation")] {
        chown(path, Some(23_456), Some(23_456)).unwrap();
    }
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new("setpriv");
        command
            .args(["--reuid", "23456", "--regid", "23456", "--clear-groups", "--"])
            .arg(&program)
            .args(args);
        let ran = finish(crate::run::alone(&mut command).spawn().unwrap());
        assert_eq!(ran.code, Some(1), "{ran:?}");
        format!("{}{}", ran.out, ran.err)
    };
    for args in [
        &["store", "check", "--data-dir", &data][..],
        &["store", "repair", "--data-dir", &data],
        &["serve", "--listen", "127.0.0.1:0", "--engine", "simulated", "--data-dir", &data],
    ] {
        let error = run(args);
        assert!(error.contains("store.redb") && error.contains("Permission denied"), "{args:?}: {error}");
        assert!(!error.contains("damaged"), "{args:?}: {error}");
    }
    assert!(fs::read(&store).unwrap() == before);
}
