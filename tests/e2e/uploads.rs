//! Uploads over a real connection: refused ones leave nothing, large ones cost no memory.

use serde_json::Value;

use crate::engine::On;
use crate::lab::Lab;

/// Peak resident memory of a process in KiB.
fn peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn an_upload_beyond_the_limit_is_refused_early_in_constant_memory() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    let server = lab.serve(&[]);
    let big = lab.dir.path().join("big.tgo");
    std::fs::File::create(&big).unwrap().set_len(600 << 20).unwrap();
    let before = peak_kib(server.pid());
    for args in [
        vec!["-F".to_owned(), format!("package=@{}", big.display())],
        vec![
            "-H".to_owned(),
            "Transfer-Encoding: chunked".to_owned(),
            "-T".to_owned(),
            big.display().to_string(),
            "-X".to_owned(),
            "POST".to_owned(),
        ],
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let reply = server.curl(&args, "/packages");
        assert_eq!(reply.status, 413, "{reply:?}");
        assert_eq!(reply.body["service_uuid"], Value::Null);
        assert!(
            reply.body["error"].as_str().unwrap().contains("max_upload"),
            "the setting is named: {reply:?}"
        );
    }
    let grown = peak_kib(server.pid()) - before;
    println!("peak memory grew by {grown} KiB");
    assert!(grown < 16 << 10, "{grown} KiB");
    nothing_staged(&server.data);
}

#[test]
fn what_is_no_package_is_refused_and_forgotten() {
    let Some(lab) = Lab::new(On::Docker) else { return };
    let server = lab.serve(&[]);
    let file = lab.dir.path().join("not.tgo");
    std::fs::write(&file, "this is no zip archive").unwrap();
    let reply = server.curl(&["-F", &format!("package=@{}", file.display())], "/packages");
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(server.get("/packages"), serde_json::json!([]));
    nothing_staged(&server.data);
}

fn nothing_staged(data: &std::path::Path) {
    for name in ["staging", "packages"] {
        let left: Vec<_> = std::fs::read_dir(data.join(name)).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
