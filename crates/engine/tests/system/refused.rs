//! What an engine without root cannot do is refused by name, before anything starts.

use std::fs;

use llcm_engine::capability::Capability;
use llcm_engine::rootless::possible;
use llcm_engine::{Bind, EngineError, ExecSpec, Helper, Limits, Spec, Status};

use crate::kit::{Fixture, shell};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("powers_say_what_is_missing_and_why", powers_say_what_is_missing_and_why),
    ("limits_are_refused", limits_are_refused),
    ("other_users_are_refused", other_users_are_refused),
    ("devices_are_the_hosts", devices_are_the_hosts),
    ("strange_modes_are_removed", strange_modes_are_removed),
    ("the_setting_in_the_way_is_named", the_setting_in_the_way_is_named),
];

fn powers_say_what_is_missing_and_why() {
    let it = Fixture::new();
    let powers = it.powers();
    assert!(!powers.root);
    let why = powers.device_nodes.clone().unwrap_err();
    assert!(why.contains("not permitted"), "{why}");
    let why = powers.other_users.clone().unwrap_err();
    assert!(why.contains("only user and group 0"), "{why}");
    // What the trial process says holds here.
    assert_eq!(possible(&Helper::default()).unwrap(), *powers);
}

fn limits_are_refused() {
    let it = Fixture::new();
    let limits = [
        ("cpu", Limits { cpu_quota_us: Some(10_000), ..Limits::default() }),
        ("cpuset", Limits { cpuset: Some("0".to_owned()), ..Limits::default() }),
        ("memory", Limits { memory_bytes: Some(32 << 20), ..Limits::default() }),
        ("pids", Limits { pids: Some(10), ..Limits::default() }),
    ];
    for (controller, limits) in limits {
        let created = it.create(Spec { limits, ..Spec::new(controller, "host") });
        match &it.powers().limits[controller] {
            // A group was given to this user.
            Ok(()) => {
                created.unwrap();
                it.start(controller).unwrap();
            }
            Err(why) => {
                let Err(EngineError::Invalid(text)) = created else { panic!("{controller}: {created:?}") };
                let expected = format!("the limit of `{controller}` cannot be set: {why}; leave it out");
                assert_eq!(text, expected);
                assert_eq!(it.inspect(controller).unwrap(), None);
            }
        }
    }
}

fn other_users_are_refused() {
    let it = Fixture::new();
    let with = |user: &str| Spec { user: Some(user.to_owned()), ..Spec::new("a", "host") };
    for (user, shown) in
        [("nobody", "`nobody` (65534:65534)"), ("1234:7", "`1234:7` (1234:7)"), ("0:5", "`0:5` (0:5)")]
    {
        let Err(EngineError::Invalid(text)) = it.create(with(user)) else { panic!("{user} was taken") };
        assert!(text.contains(shown) && text.contains("without root"), "{text}");
        assert_eq!(it.inspect("a").unwrap(), None);
    }
    for user in ["root", "0:0", ""] {
        let (_, log) = it.output(with(user), "id -u; id -g");
        assert_eq!(log, "0\n0\n", "{user}");
    }
    // The user of an image counts as well.
    let root = it.directory.path().join("root");
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/passwd"), "web:x:33:33::/:/bin/sh\n").unwrap();
    let archive = it.directory.path().join("box.tar");
    crate::images::save_with(&archive, &[&root], &["/bin/sh"], "web");
    it.images().load(&archive, None).unwrap();
    let Err(EngineError::Invalid(text)) = it.create(Spec::new("b", "box:1")) else { panic!("web was taken") };
    assert!(text.contains("`web` (33:33)"), "{text}");
    // Processes that join a container have the same choice.
    it.run_spec(Spec::new("c", "host"));
    let exec = ExecSpec { user: Some("nobody".to_owned()), ..ExecSpec::new(shell("id -u")) };
    let error = it.exec("c", &exec).unwrap_err().to_string();
    assert!(error.contains("user `nobody` (65534:65534) is not there without root"), "{error}");
    // A bind may bring users that the image does not have; they are looked at again inside.
    let users = it.directory.path().join("passwd");
    fs::write(&users, "late:x:77:77::/:/bin/sh\n").unwrap();
    let bind = Bind { host: users, container: "/etc/passwd".into(), read_only: true };
    let spec = Spec { user: Some("late".to_owned()), binds: vec![bind], ..Spec::new("d", "host") };
    it.create(spec).unwrap();
    let error = it.start("d").unwrap_err().to_string();
    assert!(error.contains("user `late` (77:77) is not there without root"), "{error}");
    assert_eq!(it.inspect("d").unwrap().unwrap().status, Status::Created);
}

fn devices_are_the_hosts() {
    let it = Fixture::new();
    let script = "exec 2>&1; ls /dev | tr '\\n' ' '; echo x > /dev/null && head -c 2 /dev/zero | od -An -tx1; \
                  head -c 5 /dev/urandom | wc -c; (echo x > /dev/full) 2>/dev/null || echo full; \
                  test -c /dev/ptmx && echo terminals; mknod /tmp/n c 1 3 || true";
    let spec = Spec { cap_add: vec![Capability::MKNOD], ..Spec::new("a", "host") };
    let (_, log) = it.output(spec, script);
    let expected = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero  00 00\n5\nfull\n\
                    terminals\nmknod: /tmp/n: Operation not permitted\n";
    assert_eq!(log, expected);
}

fn strange_modes_are_removed() {
    let it = Fixture::new();
    it.run(
        "a",
        "mkdir -p /root/a/b /root/c; touch /root/a/b/f; chmod 0 /root/a/b /root/a; chmod 7111 /root/c",
    );
    it.ends("a");
    let directory = it.inspect("a").unwrap().unwrap().log.parent().unwrap().to_path_buf();
    it.remove("a").unwrap();
    assert!(!directory.exists());
}

/// In a user namespace its own root may change how many there can be below.
fn the_setting_in_the_way_is_named() {
    let path = "/proc/sys/user/max_user_namespaces";
    let before = fs::read_to_string(path).unwrap();
    fs::write(path, "0").unwrap();
    let refused = possible(&Helper::default());
    fs::write(path, before).unwrap();
    let why = refused.unwrap_err();
    assert!(why.contains("user.max_user_namespaces is 0"), "{why}");
    possible(&Helper::default()).unwrap();
    // A program that does not play the helper is told so.
    let helper = Helper { program: "/bin/true".into(), arguments: Vec::new() };
    let why = possible(&helper).unwrap_err();
    assert!(why.contains("must call helper::main"), "{why}");
}
