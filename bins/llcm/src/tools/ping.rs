//! `ping`: asks a host for an echo, as the usual program of that name does. IPv4 only.

mod packet;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use socket2::{Domain, Protocol, Socket, Type};

use super::WrongUsage;
use crate::output;
use packet::Reply;

pub(super) const USAGE: &str =
    "ping [-c COUNT] [-i SECONDS] [-W SECONDS TO WAIT FOR THE LAST REPLY] [-I INTERFACE] HOST";

/// Bytes after the header of an echo request, as usual.
const PAYLOAD: usize = 56;

#[derive(Debug, PartialEq)]
struct Options<'a> {
    host: &'a str,
    /// `None`: until somebody ends it.
    count: Option<u16>,
    interval: Duration,
    patience: Duration,
    interface: Option<&'a str>,
}

pub(super) fn run(arguments: &[&str]) -> anyhow::Result<ExitCode> {
    let options = Options::parse(arguments)?;
    let address = resolve(options.host)?;
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4))
        .context("cannot open a raw socket (it takes the capability NET_RAW)")?;
    if let Some(interface) = options.interface {
        let bound = socket.bind_device(Some(interface.as_bytes()));
        bound.with_context(|| format!("cannot bind to the interface `{interface}`"))?;
    }
    let target = SocketAddr::V4(SocketAddrV4::new(address, 0));
    socket.connect(&target.into()).with_context(|| format!("cannot reach {address}"))?;
    let source = socket.local_addr().ok().and_then(|it| it.as_socket_ipv4()).map(|it| *it.ip());
    let through = match (source, options.interface) {
        (Some(source), Some(name)) => format!("from {source} {name}: "),
        _ => String::new(),
    };
    let whole = PAYLOAD + packet::HEADER + 20;
    output::line(format_args!(
        "PING {} ({address}) {through}{PAYLOAD}({whole}) bytes of data.",
        options.host
    ))?;
    let began = Instant::now();
    let told = Session::new(socket, address).exchange(&options)?;
    output::line(format_args!(
        "\n--- {} ping statistics ---\n{}",
        options.host,
        told.summary(began.elapsed())
    ))?;
    Ok(if told.times.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

impl<'a> Options<'a> {
    fn parse(arguments: &[&'a str]) -> anyhow::Result<Self> {
        let mut options = Options {
            host: "",
            count: None,
            interval: Duration::from_secs(1),
            patience: Duration::from_secs(10),
            interface: None,
        };
        let mut words = arguments.iter().copied();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(WrongUsage);
            match word {
                "-c" => {
                    let count = value()?.parse().ok().filter(|count| *count > 0);
                    options.count = Some(count.context("-c takes a number from 1 to 65535")?);
                }
                "-i" => options.interval = seconds(value()?)?,
                "-W" => options.patience = seconds(value()?)?,
                "-I" => options.interface = Some(value()?),
                _ if word.starts_with('-') || !options.host.is_empty() => bail!(WrongUsage),
                _ => options.host = word,
            }
        }
        ensure!(!options.host.is_empty(), WrongUsage);
        Ok(options)
    }
}

fn seconds(text: &str) -> anyhow::Result<Duration> {
    let parsed = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // A day is more than anybody waits, and far from where clocks overflow.
    let fits = |it: &Duration| (Duration::from_millis(1)..Duration::from_secs(86_400)).contains(it);
    parsed.filter(fits).with_context(|| format!("`{text}` is no number of seconds"))
}

fn resolve(host: &str) -> anyhow::Result<Ipv4Addr> {
    let found = (host, 0).to_socket_addrs().with_context(|| format!("cannot look up `{host}`"))?;
    let v4 = found.into_iter().find_map(|it| if let SocketAddr::V4(v4) = it { Some(*v4.ip()) } else { None });
    v4.with_context(|| format!("`{host}` has no IPv4 address"))
}

/// Requests and replies.
struct Session {
    socket: Socket,
    address: Ipv4Addr,
    identifier: u16,
    /// When requests without a reply were sent.
    open: BTreeMap<u16, Instant>,
    told: Told,
}

#[derive(Debug, Default)]
struct Told {
    sent: u32,
    /// Milliseconds of each reply.
    times: Vec<f64>,
}

impl Session {
    fn new(socket: Socket, address: Ipv4Addr) -> Self {
        // Others in this network namespace ask, too; their replies are seen here.
        let [low, high, ..] = std::process::id().to_le_bytes();
        let identifier = u16::from_le_bytes([low, high]);
        Self { socket, address, identifier, open: BTreeMap::new(), told: Told::default() }
    }

    fn exchange(mut self, options: &Options<'_>) -> anyhow::Result<Told> {
        let mut sequence: u16 = 0;
        loop {
            sequence = sequence.wrapping_add(1);
            let request = packet::request(self.identifier, sequence, PAYLOAD);
            let now = Instant::now();
            self.told.sent += 1;
            match self.socket.send(&request) {
                Ok(_) => drop(self.open.insert(sequence, now)),
                // The kernel knows no way, now or since an earlier request: a reply that does not come.
                Err(error) => output::note(format_args!("ping: {error}"))?,
            }
            let is_last = options.count == Some(sequence);
            let wait = if is_last { options.patience } else { options.interval };
            self.listen(now + wait, is_last)?;
            if is_last {
                return Ok(self.told);
            }
        }
    }

    /// Takes replies in until a time; of the last request, until there is nothing left to wait for.
    fn listen(&mut self, end: Instant, is_last: bool) -> anyhow::Result<()> {
        let mut buffer = [0; 2048];
        while !(is_last && self.open.is_empty()) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.socket.set_read_timeout(Some(left.max(Duration::from_micros(1))))?;
            match self.socket.read(&mut buffer) {
                Ok(length) => self.take(buffer.get(..length).unwrap_or_default())?,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => output::note(format_args!("ping: {error}"))?,
            }
        }
        Ok(())
    }

    fn take(&mut self, packet: &[u8]) -> anyhow::Result<()> {
        let Some(reply) = Reply::parse(packet).filter(|it| it.identifier == self.identifier) else {
            return Ok(());
        };
        let Some(sent) = self.open.remove(&reply.sequence) else { return Ok(()) };
        let time = sent.elapsed().as_secs_f64() * 1000.0;
        self.told.times.push(time);
        output::line(format_args!(
            "{} bytes from {}: icmp_seq={} ttl={} time={time:.3} ms",
            reply.length, self.address, reply.sequence, reply.ttl
        ))
    }
}

impl Told {
    fn summary(&self, took: Duration) -> String {
        let received = u32::try_from(self.times.len()).unwrap_or(u32::MAX);
        let lost = f64::from(self.sent.saturating_sub(received)) * 100.0 / f64::from(self.sent.max(1));
        let (sent, took) = (self.sent, took.as_millis());
        let first =
            format!("{sent} packets transmitted, {received} received, {lost:.0}% packet loss, time {took}ms");
        if self.times.is_empty() {
            return format!("{first}\n");
        }
        let count = f64::from(received);
        let min = self.times.iter().copied().fold(f64::INFINITY, f64::min);
        let max = self.times.iter().copied().fold(0.0, f64::max);
        let average = self.times.iter().sum::<f64>() / count;
        let squares = self.times.iter().map(|time| (time - average).powi(2)).sum::<f64>();
        let deviation = (squares / count).sqrt();
        format!("{first}\nrtt min/avg/max/mdev = {min:.3}/{average:.3}/{max:.3}/{deviation:.3} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_the_usual_program() {
        let all = ["-c", "3", "-W", "0.5", "-i", "0.2", "-I", "output", "20.0.0.2"];
        let parsed = Options::parse(&all).unwrap();
        let expected = Options {
            host: "20.0.0.2",
            count: Some(3),
            interval: Duration::from_millis(200),
            patience: Duration::from_millis(500),
            interface: Some("output"),
        };
        assert_eq!(parsed, expected);
        assert_eq!(Options::parse(&["localhost"]).unwrap().count, None);
        for wrong in [&[][..], &["-c"], &["-x", "h"], &["h", "g"]] {
            assert!(Options::parse(wrong).unwrap_err().is::<WrongUsage>(), "{wrong:?}");
        }
        for wrong in [["-c", "0"], ["-c", "-1"], ["-W", "NaN"], ["-i", "0"], ["-W", "1e300"], ["-c", "65536"]]
        {
            assert!(Options::parse(&[wrong[0], wrong[1], "h"]).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_summary_counts_what_is_lost() {
        let took = Duration::from_millis(2041);
        let told = Told { sent: 4, times: vec![0.1, 0.2, 0.3] };
        assert_eq!(
            told.summary(took),
            "4 packets transmitted, 3 received, 25% packet loss, time 2041ms\n\
             rtt min/avg/max/mdev = 0.100/0.200/0.300/0.082 ms"
        );
        let none = Told { sent: 1, times: Vec::new() };
        assert_eq!(none.summary(took), "1 packets transmitted, 0 received, 100% packet loss, time 2041ms\n");
    }
}
