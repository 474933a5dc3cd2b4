//! An upload is on disk, not in memory. Alone in its process, so that nothing else moves the figures.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::sync::Arc;

use llcm_api::{ApiSettings, ApiState, listen, serve};
use llcm_lifecycle::{Dialect, Orchestrator, Parts, Settings, SystemClock, SystemIds, installation};
use llcm_runtime::simulated::{self, World};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

const MIB: u64 = 1024 * 1024;

/// A figure of this process, in bytes: `VmRSS` now, `VmHWM` the most so far.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches([':', ' ', '\t', 'k', 'B']).trim().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_600_mib_is_refused_at_its_limit_in_constant_memory() {
    let dir = tempfile::tempdir().unwrap();
    let installation = installation::installation_id(dir.path(), &SystemIds).unwrap();
    let orchestrator = Orchestrator::open(Parts {
        data_dir: dir.path().to_owned(),
        settings: Settings::default(),
        topology: llcm_topology::default_topology(),
        backend: simulated::backend(&World::new(), &installation),
        placement: None,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
    })
    .await
    .unwrap();
    // The unoptimised hash is slow: a limit of 96 MiB shows the same as one of 512.
    let settings = ApiSettings { max_upload: 96 * MIB, ..ApiSettings::default() };
    let state = ApiState::new(orchestrator, settings, || {});
    let listener = listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, asked) = oneshot::channel::<()>();
    let served =
        tokio::spawn(serve(vec![(Dialect::Tango, listener)], state, async move { drop(asked.await) }));

    let before = memory("VmRSS");
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let head = "POST /packages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    writer.write_all(head.as_bytes()).await.unwrap();
    let chunk = format!("40000\r\n{}\r\n", "x".repeat(0x40000));
    let (mut sent, mut answer) = (0, vec![0; 4096]);
    let got = loop {
        tokio::select! {
            got = reader.read(&mut answer) => break got.unwrap(),
            done = writer.write_all(chunk.as_bytes()) => { done.unwrap(); sent += 0x40000; }
        }
        assert!(sent < 600 * MIB, "the server takes it all");
    };
    let grown = memory("VmHWM").saturating_sub(before);
    println!("sent {} MiB, resident memory grew by {} KiB", sent / MIB, grown / 1024);
    let reply = String::from_utf8_lossy(&answer[..got]);
    assert!(reply.starts_with("HTTP/1.1 413 "), "{reply}");
    assert!(sent >= 96 * MIB, "refused early: {sent}");
    assert!(grown < 16 * MIB, "resident memory grew by {grown} bytes");
    drop((reader, writer));
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}
