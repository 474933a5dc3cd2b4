//! Web pages in a real browser that try to use the server behind their reader's back.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::run::{Server, alone, demo_package};

const PAGE: &str = include_str!("page.html");
/// How long the page may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);
/// The page's ways to start an instance.
const STARTS: usize = 5;

/// What came of each of the page's attempts.
type Report = BTreeMap<String, String>;

/// Delivers the page and the package that it tries to upload, takes its report, and passes on everything else as it
/// comes: to its reader's browser that looks as if the page's host had moved to the server's address.
struct PageServer {
    address: SocketAddr,
    reports: mpsc::Receiver<Report>,
    target: mpsc::Sender<SocketAddr>,
}

impl PageServer {
    fn start(package: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (report, reports) = mpsc::channel();
        let (target, targets) = mpsc::channel();
        std::thread::spawn(move || {
            let mut known = None;
            for stream in listener.incoming().map_while(Result::ok) {
                known = targets.try_iter().last().or(known);
                let (package, report) = (package.clone(), report.clone());
                std::thread::spawn(move || answer(stream, &package, &report, known));
            }
        });
        Self { address, reports, target }
    }
}

/// Answers one request; a browser that hangs up has its reasons.
fn answer(
    mut stream: TcpStream,
    package: &[u8],
    report: &mpsc::Sender<Report>,
    target: Option<SocketAddr>,
) -> Option<()> {
    stream.set_read_timeout(Some(LIMIT)).ok()?;
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    let head = loop {
        let count = stream.read(&mut piece).ok().filter(|count| *count > 0)?;
        request.extend_from_slice(&piece[..count]);
        if let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") {
            break String::from_utf8_lossy(&request[..end]).into_owned();
        }
    };
    let path = head.split(' ').nth(1)?.split('?').next()?.to_owned();
    let reply = match path.as_str() {
        "/page" => ("text/html", PAGE.as_bytes()),
        "/package" => ("application/octet-stream", package),
        "/report" => {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            })?;
            let body = request.len() - head.len() - 4;
            let mut rest = vec![0; length - body];
            stream.read_exact(&mut rest).ok()?;
            request.extend_from_slice(&rest);
            report.send(serde_json::from_slice(&request[head.len() + 4..]).unwrap()).ok()?;
            ("text/plain", b"thanks".as_slice())
        }
        _ => return pass_on(stream, &request, target?),
    };
    let (kind, body) = reply;
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    stream.write_all(body).ok()
}

/// Passes a request on and its reply back. The connection ends with them: the next request may be for the page's server.
fn pass_on(mut stream: TcpStream, begun: &[u8], target: SocketAddr) -> Option<()> {
    let mut server = TcpStream::connect(target).ok()?;
    let end = begun.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&begun[..end]).replace("Connection: keep-alive", "Connection: close");
    assert!(head.contains("Connection: close"), "{head}");
    server.write_all(head.as_bytes()).ok()?;
    server.write_all(&begun[end..]).ok()?;
    let (mut back, mut from) = (stream.try_clone().ok()?, server.try_clone().ok()?);
    std::thread::spawn(move || {
        let _ended = std::io::copy(&mut from, &mut back);
        back.shutdown(Shutdown::Both)
    });
    let _ended = std::io::copy(&mut stream, &mut server);
    server.shutdown(Shutdown::Both).ok()
}

/// The browser, and its processes with it.
struct Browser(Child);

impl Browser {
    /// Opens a page. Nothing but this machine is reached: every name but one is unknown.
    fn open(url: &str, profile: &std::path::Path) -> Self {
        let mut command = Command::new("chromium");
        alone(&mut command).env("HOME", profile).process_group(0).stdout(Stdio::null()).stderr(Stdio::null());
        command.args([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]);
        command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        command.arg("--host-resolver-rules=MAP rebound.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
        command.arg(format!("--user-data-dir={}", profile.display())).arg(url);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = format!("-{}", self.0.id());
        // Its group was made for it and holds nobody else.
        let _ended = Command::new("kill").args(["-s", "KILL", "--", &group]).status();
        let _reaped = self.0.wait();
    }
}

/// Whether there is a browser; panics where there must be one.
fn has_browser() -> bool {
    let mut command = Command::new("chromium");
    let found = alone(&mut command).arg("--version").output().is_ok_and(|output| output.status.success());
    let required = std::env::var_os("LLCM_REQUIRE_SYSTEM_TESTS").is_some_and(|value| value == "1");
    assert!(
        found || !required,
        "LLCM_REQUIRE_SYSTEM_TESTS=1, but there is no chromium: scripts/setup-dev --tests"
    );
    if !found {
        eprintln!("skipped: there is no chromium");
    }
    found
}

/// How a page meets the server.
enum Way {
    /// From another origin, as any page in the world would.
    OtherOrigin,
    /// From a host name that was rebound to the server's address.
    Rebound,
}

/// What a page did to a server.
struct Outcome {
    report: Report,
    services: usize,
    /// Ids, oldest first; the first of them was there before.
    instances: Vec<String>,
    first: String,
    /// Who asked for changes through HTTP since the page was opened.
    asked: usize,
}

/// Lets a page try everything, on a server with a service and an instance.
fn let_it_try(way: &Way, flags: impl FnOnce(&str) -> Vec<String>) -> Outcome {
    let dir = tempfile::tempdir().unwrap();
    let package = demo_package(dir.path());
    let pages = PageServer::start(std::fs::read(&package).unwrap());
    let port = pages.address.port();
    let own = match way {
        Way::OtherOrigin => format!("http://127.0.0.1:{port}"),
        Way::Rebound => format!("http://rebound.test:{port}"),
    };
    let flags = flags(&own);
    let is_attack = flags.is_empty();
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    let server = Server::start(&dir.path().join("data"), &flags);
    server.llcm(&["up", &package]).expect(0);
    let ids = || -> Vec<String> {
        let list = server.llcm(&["ps", "--output", "json"]).json();
        list.as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    };
    let audited = || server.llcm(&["audit", "--output", "json"]).json().as_array().unwrap().len();
    let (first, before) = (ids()[0].clone(), audited());
    pages.target.send(server.url.strip_prefix("http://").unwrap().parse().unwrap()).unwrap();

    let target = match way {
        Way::OtherOrigin => server.url.as_str(),
        Way::Rebound => "",
    };
    let exit = if is_attack { "&exit" } else { "" };
    let url = format!("{own}/page?server={target}&instance={first}{exit}");
    let browser = Browser::open(&url, &dir.path().join("profile"));
    let report = pages.reports.recv_timeout(LIMIT).expect("the page reports");
    drop(browser);
    // What was begun without waiting is done before the lists are looked at, in which it may not even be yet.
    let done = std::time::Instant::now() + Duration::from_secs(30);
    let is_done = || {
        let ids = ids();
        is_attack || (ids.len() >= STARTS && !ids.contains(&first))
    };
    while server.llcm(&["ps"]).expect(0).contains("creating") || !is_done() {
        assert!(std::time::Instant::now() < done, "it goes on and on, or never begins: {report:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let services = server.llcm(&["services", "--output", "json"]).json().as_array().unwrap().len();
    Outcome { report, services, instances: ids(), first, asked: audited() - before }
}

#[test]
fn pages_of_other_origins_and_of_rebound_hosts_change_nothing_and_read_nothing_new() {
    if !has_browser() {
        return;
    }
    for way in [Way::OtherOrigin, Way::Rebound] {
        let Outcome { report, services, instances, first, asked } = let_it_try(&way, |_| Vec::new());
        assert_eq!((services, instances), (1, vec![first]), "{report:#?}");
        assert_eq!(asked, 0, "a request of the page came to a handler: {report:#?}");
        let got = |name: &str| report[name].as_str();
        let refused = |name: &str| match way {
            Way::OtherOrigin => got(name).starts_with("failed: TypeError"),
            Way::Rebound => got(name).starts_with("403"),
        };
        for name in [
            "read native list",
            "read version",
            "read audit",
            "read stream",
            "start by fetch",
            "stop by fetch",
            "exit",
        ] {
            assert!(refused(name), "{name}: {report:#?}");
        }
        for name in ["img", "script"] {
            assert_eq!(got(name), "error", "{name}: {report:#?}");
        }
        // The emulators let every page read this; a rebound host is nobody's.
        match way {
            Way::OtherOrigin => assert!(got("read list").starts_with("200 [{"), "{report:#?}"),
            Way::Rebound => assert!(got("read list").starts_with("403 "), "{report:#?}"),
        }
    }
}

/// The same page does what it wants when it may: the test above would see it.
#[test]
fn pages_of_origins_and_hosts_that_are_allowed_do_all_that() {
    if !has_browser() {
        return;
    }
    for way in [Way::OtherOrigin, Way::Rebound] {
        let Outcome { report, services, instances, first, asked } = let_it_try(&way, |own| match way {
            Way::OtherOrigin => vec!["--allowed-origins".to_owned(), own.to_owned()],
            Way::Rebound => vec!["--allow-host".to_owned(), "rebound.test".to_owned()],
        });
        assert_eq!(services, 3, "both uploads: {report:#?}");
        assert!(!instances.contains(&first), "it was stopped: {report:#?}");
        assert_eq!(instances.len(), STARTS, "all five ways to start: {report:#?}");
        assert_eq!(asked, 9, "{report:#?}");
        for name in ["read list", "read native list", "read version", "read audit", "read stream"] {
            assert!(report[name].starts_with("200"), "{name}: {report:#?}");
        }
        assert_eq!(report["start by fetch"], "202");
    }
}
