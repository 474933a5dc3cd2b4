//! What is written is there, whole, within bounds, whoever else writes.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn beginning(second: usize, path: &str) -> Beginning {
    Beginning {
        at: format!("2026-01-31T12:00:{second:02}.000Z"),
        listener: Some("127.0.0.1:5000".to_owned()),
        dialect: Some("tango".to_owned()),
        peer: Some("127.0.0.1:40000".to_owned()),
        by: "token:ci".to_owned(),
        method: "DELETE".to_owned(),
        route: "/api/llcm/v1/instances/{id}".to_owned(),
        path: path.to_owned(),
    }
}

fn end(instance: &str) -> End {
    let objects = [("instance".to_owned(), vec![instance.to_owned()])].into();
    End { at: "2026-01-31T12:01:00.000Z".to_owned(), status: Some(202), code: None, objects }
}

fn log(dir: &Path) -> AuditLog {
    AuditLog::in_dir(dir, AuditOptions::default())
}

#[test]
fn a_beginning_and_an_end_are_one_event() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    assert_eq!(log.read(&Filter::default()).unwrap(), []);
    let first = log.begin(beginning(1, "/api/llcm/v1/instances/one")).unwrap();
    let second = log.begin(beginning(2, "/instantiations")).unwrap();
    let third = log.begin(beginning(3, "/packages")).unwrap();
    log.end(second, end("two")).unwrap();
    log.end(first.clone(), End { code: Some("stuck".to_owned()), status: Some(500), ..end("one") }).unwrap();
    let about = |id: &str| log.read(&Filter { about: Some(id.to_owned()), ..Filter::default() }).unwrap();
    assert_eq!(about("one")[0].id, first);
    assert_eq!((about("one")[0].status, about("one")[0].code.as_deref()), (Some(500), Some("stuck")));
    assert_eq!(about("two").len(), 1);
    assert_eq!(about("on"), []);
    let all = log.read(&Filter::default()).unwrap();
    assert_eq!(
        all.iter().map(|event| event.beginning.at.as_str()).collect::<Vec<_>>(),
        ["2026-01-31T12:00:01.000Z", "2026-01-31T12:00:02.000Z", "2026-01-31T12:00:03.000Z"]
    );
    assert_eq!((&all[2].id, all[2].status), (&third, None), "what did not end is told, too");
    let since = Some("2026-01-31T12:00:02.000Z".to_owned());
    assert_eq!(log.read(&Filter { since, ..Filter::default() }).unwrap().len(), 2);
    let mode = fs::metadata(log.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn what_it_is_about_is_known_before_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    let id = log.begin(beginning(1, "/captures")).unwrap();
    log.about(id.clone(), [("link".to_owned(), vec!["backbone".to_owned()])].into()).unwrap();
    let event =
        || log.read(&Filter { about: Some("backbone".to_owned()), ..Filter::default() }).unwrap().remove(0);
    assert_eq!((event().id, event().ended_at), (id.clone(), None));
    log.end(id, end("one")).unwrap();
    assert_eq!(event().objects.into_keys().collect::<Vec<_>>(), ["instance", "link"]);
    assert_eq!(event().status, Some(202));
}

#[test]
fn rotation_keeps_the_newest_within_the_bound() {
    let dir = tempfile::tempdir().unwrap();
    let options = AuditOptions { file_bytes: 2000, files: 3 };
    let log = AuditLog::in_dir(dir.path(), options);
    for number in 0..60 {
        let id = log.begin(beginning(number, &format!("/number/{number}"))).unwrap();
        log.end(id, end("x")).unwrap();
    }
    let mut sizes = Vec::new();
    for entry in fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with("audit.log") {
            sizes.push(entry.metadata().unwrap().len());
        }
    }
    assert_eq!(sizes.len(), 3);
    assert!(sizes.iter().all(|size| *size <= 2000), "{sizes:?}");
    let events = log.read(&Filter::default()).unwrap();
    assert!(events.len() >= 8 && events.len() < 60, "{}", events.len());
    assert_eq!(events.last().unwrap().beginning.path, "/number/59");
    assert_eq!(
        log.read(&Filter { limit: Some(2), ..Filter::default() }).unwrap(),
        events[events.len() - 2..]
    );
}

#[test]
fn writers_at_the_same_time_do_not_mix_their_lines() {
    let dir = tempfile::tempdir().unwrap();
    let options = AuditOptions { file_bytes: 8000, files: 40 };
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let log = AuditLog::in_dir(dir.path(), options);
            scope.spawn(move || {
                for number in 0..50 {
                    let id = log.begin(beginning(number, &format!("/{writer}/{number}"))).unwrap();
                    log.end(id, end("x")).unwrap();
                }
            });
        }
    });
    let events = AuditLog::in_dir(dir.path(), options).read(&Filter::default()).unwrap();
    assert_eq!(events.len(), 200);
    assert!(events.iter().all(|event| event.status == Some(202)));
}

#[test]
fn half_a_line_spoils_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    log.begin(beginning(1, "/a")).unwrap();
    let mut file = OpenOptions::new().append(true).open(log.path()).unwrap();
    file.write_all(b"{\"phase\":\"begin\",\"id\":\"x").unwrap();
    log.begin(beginning(2, "/b")).unwrap();
    let paths: Vec<_> =
        log.read(&Filter::default()).unwrap().into_iter().map(|event| event.beginning.path).collect();
    assert_eq!(paths, ["/a", "/b"]);
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    std::os::unix::fs::symlink("/dev/full", log.path()).unwrap();
    let error = log.begin(beginning(1, "/a")).unwrap_err().to_string();
    assert!(error.contains("audit.log") && error.contains("No space left"), "{error}");
}

#[test]
fn long_and_odd_paths_stay_one_short_line() {
    let dir = tempfile::tempdir().unwrap();
    let log = log(dir.path());
    log.begin(beginning(1, &format!("/\n\u{0}\"{}", "ä".repeat(100_000)))).unwrap();
    let text = fs::read_to_string(log.path()).unwrap();
    assert_eq!(text.lines().count(), 1);
    assert!(text.len() < 2000, "{}", text.len());
    assert_eq!(log.read(&Filter::default()).unwrap().len(), 1);
}
