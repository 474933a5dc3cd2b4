//! What packets experience between two namespaces, asked from ping and iperf3.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// A command in a namespace.
pub(crate) fn within(netns: &str, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", netns, program]).args(arguments).stdin(Stdio::null());
    command
}

/// A reply of ping: when it came (seconds since 1970), and the round-trip time in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reply {
    pub(crate) at: f64,
    pub(crate) rtt: f64,
}

/// Starts to ping. As the clock of replies the kernel's is taken.
pub(crate) fn start_ping(netns: &str, to: &str, count: u32, interval: f64) -> Result<Child> {
    let (count, interval) = (count.to_string(), interval.to_string());
    let mut command = within(netns, "ping", &["-D", "-n", "-c", &count, "-i", &interval, "-W", "3", to]);
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?)
}

/// The replies, once ping has ended.
pub(crate) fn replies(ping: Child) -> Result<Vec<Reply>> {
    let output = ping.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let field = |line: &str, name: &str| -> Option<f64> {
        let rest = line.split_once(name)?.1;
        rest.split([' ', ']']).next()?.parse().ok()
    };
    let parse = |line: &str| Some(Reply { at: field(line, "[")?, rtt: field(line, " time=")? });
    Ok(text.lines().filter(|line| !line.contains("DUP")).filter_map(parse).collect())
}

/// Round-trip times in milliseconds, the smallest first.
pub(crate) fn rtts(netns: &str, to: &str, count: u32, interval: f64) -> Result<Vec<f64>> {
    let replies = replies(start_ping(netns, to, count, interval)?)?;
    ensure!(!replies.is_empty(), "no reply from {to}");
    let mut times: Vec<f64> = replies.iter().map(|reply| reply.rtt).collect();
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// A server of iperf3 in a namespace; ended when dropped.
pub(crate) struct Server(Child);

impl Server {
    pub(crate) fn start(netns: &str, port: u16) -> Result<Self> {
        let port = port.to_string();
        let mut command = within(netns, "iperf3", &["-s", "-p", &port]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("iperf3")?;
        std::thread::sleep(Duration::from_millis(300));
        Ok(Self(child))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // `ip netns exec` has become iperf3.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// How TCP is to find its rate, where the kernel can: BBR, the usual way of some hosts, all but stops for 0.2 s of each 10 s
/// to look for shorter round trips, 2 % of any link.
const CONGESTION: &str = "cubic";

/// The way that TCP finds its rate in these measurements.
pub(crate) fn congestion() -> Result<String> {
    let known = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control")?;
    if known.split_whitespace().any(|name| name == CONGESTION) {
        return Ok(CONGESTION.to_owned());
    }
    Ok(std::fs::read_to_string("/proc/sys/net/ipv4/tcp_congestion_control")?.trim().to_owned())
}

/// Starts a client of iperf3.
pub(crate) fn start_client(netns: &str, to: &str, port: u16, arguments: &[&str]) -> Result<Child> {
    let (port, congestion) = (port.to_string(), congestion()?);
    let mut command = within(netns, "iperf3", &["-J", "-c", to, "-p", &port, "-C", &congestion]);
    Ok(command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?)
}

/// What a client of iperf3 found.
pub(crate) fn found(client: Child) -> Result<serde_json::Value> {
    let output = client.wait_with_output()?;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    ensure!(report["error"].is_null(), "iperf3: {}", report["error"]);
    Ok(report)
}

/// Bits per second that arrived by TCP.
pub(crate) fn received(report: &serde_json::Value) -> Result<f64> {
    report["end"]["sum_received"]["bits_per_second"]
        .as_f64()
        .context("iperf3 says nothing of what it received")
}
