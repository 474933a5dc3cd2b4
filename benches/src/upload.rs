//! A large upload in constant memory.

use std::io::Write;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use tokio_util::io::ReaderStream;

use crate::server::{Serve, Server};
use crate::services;
use crate::stats::memory_kib;

const SIZE: usize = 512 << 20;

/// Uploads 512 MiB (incompressible, stored) and reads the server's peak memory.
pub(crate) async fn run() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("big.tgo");
    write_package(&file)?;
    let size = std::fs::metadata(&file)?.len();
    let server = Server::start(Serve::new("simulated", &dir.path().join("data"))).await?;
    server.upload(services::package(4)).await?;
    let before = memory_kib(server.pid(), "VmHWM").context("no VmHWM")?;
    let begin = Instant::now();
    let body =
        reqwest::Body::wrap_stream(ReaderStream::with_capacity(tokio::fs::File::open(&file).await?, 1 << 18));
    let reply = server.client.post(server.url("/packages")).body(body).send().await?;
    let status = reply.status();
    ensure!(status.as_u16() == 201, "{status}: {}", reply.text().await?);
    let seconds = begin.elapsed().as_secs_f64();
    let grown = memory_kib(server.pid(), "VmHWM").context("no VmHWM")?.saturating_sub(before);
    let mib = f64::from(u32::try_from(size >> 20)?);
    println!("upload of {mib:.0} MiB: {seconds:.1} s, {:.0} MiB/s, on-boarding included", mib / seconds);
    println!(
        "peak resident memory grew by {:.1} MiB (goal: under 16)",
        f64::from(u32::try_from(grown)?) / 1024.0
    );
    Ok(())
}

/// A valid package with one large file of pseudo-random bytes, just under the limit.
fn write_package(path: &std::path::Path) -> Result<()> {
    let mut small = std::io::Cursor::new(services::package(4));
    let mut from = zip::ZipArchive::new(&mut small)?;
    let mut to = zip::ZipWriter::new(std::io::BufWriter::new(std::fs::File::create(path)?));
    for index in 0..from.len() {
        to.raw_copy_file(from.by_index_raw(index)?)?;
    }
    to.start_file(
        "big.bin",
        zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored),
    )?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = vec![0_u8; 1 << 20];
    for _ in 0..(SIZE >> 20) - 1 {
        for word in block.chunks_exact_mut(8) {
            // xorshift64: incompressible enough, and fast.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            word.copy_from_slice(&state.to_le_bytes());
        }
        to.write_all(&block)?;
    }
    to.finish()?.flush()?;
    Ok(())
}
