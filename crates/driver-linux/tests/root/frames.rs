//! Frames of any kind, sent and heard as a container's own programs can: by packet sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

/// What every frame of a test carries, before a number.
const MAGIC: &[u8] = b"llcmprobe";

/// Hears every frame that comes in by any device of a namespace, and prints those with a word in them when its input ends:
/// device, then the frame with its VLAN tag, which the kernel hands out apart.
const LISTEN: &str = r#"
import select, socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.setsockopt(263, 8, 1)
s.setsockopt(socket.SOL_SOCKET, 33, 8 << 20)
heard = []
print('ready', flush=True)
ending = False
while True:
    readable, _, _ = select.select([s] if ending else [s, sys.stdin], [], [], 1 if ending else None)
    if not readable:
        break
    ending = ending or sys.stdin in readable
    if s not in readable:
        continue
    data, extra, _, address = s.recvmsg(70000, 256)
    if address[2] == 4 or sys.argv[1].encode() not in data:
        continue
    for level, kind, value in extra:
        if (level, kind) == (263, 8):
            status, _, _, _, _, tci, tpid = struct.unpack('IIIHHHH', value[:20])
            if status & 16:
                data = data[:12] + struct.pack('!HH', tpid if status & 64 else 0x8100, tci) + data[12:]
    heard.append((address[0], data.hex()))
for device, data in heard:
    print(device, data)
"#;

/// Sends each line of its input as one frame.
const SEND: &str = r"
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
for line in sys.stdin:
    s.send(bytes.fromhex(line.strip()))
";

/// A frame to be sent, with what it is.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// In words.
    pub(crate) name: &'static str,
    /// From the receiver's MAC address on, without checksum.
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    /// A frame of at least 60 bytes: MAC addresses, what follows, and a mark that tells it from all others.
    pub(crate) fn new(name: &'static str, to: [u8; 6], from: [u8; 6], rest: &[u8], number: usize) -> Self {
        let mut bytes = [&to[..], &from, rest, MAGIC, format!("{number:08}").as_bytes()].concat();
        bytes.resize(bytes.len().max(60), 0);
        Self { name, bytes }
    }

    /// The number of [`Frame::new`].
    pub(crate) fn number(&self) -> usize {
        number(&self.bytes).unwrap()
    }
}

/// A frame that was heard.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    /// By which device.
    pub(crate) device: String,
    /// From the receiver's MAC address on.
    pub(crate) bytes: Vec<u8>,
    /// The number of the frame that it is or holds; `None` for one of somebody else's.
    pub(crate) number: Option<usize>,
}

/// The number behind the magic word.
fn number(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(MAGIC.len()).position(|part| part == MAGIC)? + MAGIC.len();
    std::str::from_utf8(bytes.get(at..at + 8)?).ok()?.parse().ok()
}

/// Somebody who hears all that comes into a namespace. Ends with the test.
pub(crate) struct Listener(Child);

impl Listener {
    /// Begins; `None`: in the test's own namespace, the host's.
    pub(crate) fn begin(netns: Option<&str>) -> Self {
        Self::of(netns, "llcmprobe")
    }

    /// The same for frames of others, too.
    pub(crate) fn of_all(netns: &str) -> Self {
        Self::of(Some(netns), "")
    }

    fn of(netns: Option<&str>, word: &str) -> Self {
        let mut child = python(netns, &[LISTEN, word]);
        let mut line = String::new();
        // Byte by byte: what follows is read by another one.
        let mut reader = BufReader::with_capacity(1, child.stdout.as_mut().unwrap());
        reader.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }

    /// Lets it end as soon as nothing came for a second.
    pub(crate) fn stop(&mut self) {
        drop(self.0.stdin.take());
    }

    /// What was heard.
    pub(crate) fn end(mut self) -> Vec<Heard> {
        self.stop();
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(self.0.wait().unwrap().success());
        let heard = |line: &str| {
            let (device, frame) = line.split_once(' ').unwrap();
            let byte = |at| u8::from_str_radix(&frame[at..at + 2], 16).unwrap();
            let bytes: Vec<u8> = (0..frame.len()).step_by(2).map(byte).collect();
            Heard { device: device.to_owned(), number: number(&bytes), bytes }
        };
        text.lines().map(heard).collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Sends frames by an interface of a namespace, one after the other.
pub(crate) fn send(netns: &str, device: &str, frames: &[Frame]) {
    let mut child = python(Some(netns), &[SEND, device]);
    let mut input = child.stdin.take().unwrap();
    for frame in frames {
        let text: String = frame.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(input, "{text}").unwrap();
    }
    drop(input);
    assert!(child.wait().unwrap().success(), "sending by {device} of {netns}");
}

fn python(netns: Option<&str>, arguments: &[&str]) -> Child {
    let mut command = match netns {
        Some(netns) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", netns, "python3"]);
            command
        }
        None => Command::new("python3"),
    };
    command.arg("-c").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

/// The kinds of frames that networks carry, each numbered from `first` on; `from` sends and `to` is the receiver of those
/// to one.
pub(crate) fn catalogue(from: [u8; 6], to: [u8; 6], first: usize) -> Vec<Frame> {
    let group = |last: u8| [0x01, 0x80, 0xc2, 0, 0, last];
    let (all, v6_all, v6_solicited) = ([0xff; 6], [0x33, 0x33, 0, 0, 0, 1], [0x33, 0x33, 0xff, 0, 0, 2]);
    // 802.1D: length, LLC, then protocol, version and type.
    let bpdu = [0, 38, 0x42, 0x42, 3, 0, 0, 0, 0];
    let snap = |oui: [u8; 3], kind: [u8; 2]| [&[0, 46, 0xaa, 0xaa, 3][..], &oui, &kind].concat();
    let kinds: Vec<(&'static str, [u8; 6], Vec<u8>)> = vec![
        ("IPv4, to one", to, ipv4(17)),
        ("ARP, broadcast", all, arp([10, 0, 0, 1], [10, 0, 0, 2], from)),
        ("IPv4 multicast", [1, 0, 0x5e, 0, 0, 5], ipv4(89)),
        ("IPv6 neighbour solicitation", v6_solicited, ipv6(135)),
        ("IPv6 router advertisement", v6_all, ipv6(134)),
        ("VLAN tag (802.1Q)", to, vec![0x81, 0, 0, 42, 0x88, 0xb5]),
        ("priority tag (VLAN 0)", to, vec![0x81, 0, 0xe0, 0, 0x88, 0xb5]),
        ("two tags (QinQ, 802.1ad)", to, vec![0x88, 0xa8, 0, 7, 0x81, 0, 0, 42, 0x88, 0xb5]),
        ("MPLS", to, vec![0x88, 0x47, 0, 0, 0x11, 0x40]),
        ("PPPoE discovery", all, vec![0x88, 0x63, 0x11, 9, 0, 0]),
        ("LLDP", group(0x0e), vec![0x88, 0xcc]),
        ("LLDP, nearest non-TPMR bridge", group(3), vec![0x88, 0xcc]),
        ("LLDP, nearest customer bridge", group(0), vec![0x88, 0xcc]),
        ("LACP", group(2), vec![0x88, 9, 1, 1]),
        ("EAPOL (802.1X)", group(3), vec![0x88, 0x8e, 1, 1, 0, 0]),
        ("STP", group(0), bpdu.to_vec()),
        ("STP of providers", group(8), bpdu.to_vec()),
        ("PVST+", [1, 0, 0x0c, 0xcc, 0xcc, 0xcd], snap([0, 0, 0x0c], [1, 0x0b])),
        ("CDP", [1, 0, 0x0c, 0xcc, 0xcc, 0xcc], snap([0, 0, 0x0c], [0x20, 0])),
        ("MVRP", group(0x21), vec![0x88, 0xf5]),
        ("PTP", [1, 0x1b, 0x19, 0, 0, 0], vec![0x88, 0xf7]),
        ("PTP, peer delay", group(0x0e), vec![0x88, 0xf7, 2, 2]),
        ("CFM", group(0x33), vec![0x89, 2]),
        ("PAUSE (802.3x)", group(1), vec![0x88, 8, 0, 1, 0xff, 0xff]),
        ("of a type that nobody knows", to, vec![0x88, 0xb5]),
    ];
    let mut frames: Vec<Frame> = (first..)
        .zip(kinds)
        .map(|(number, (name, to, rest))| Frame::new(name, to, from, &rest, number))
        .collect();
    let mut jumbo = Frame::new("9000 bytes", to, from, &[0x88, 0xb5], first + frames.len());
    jumbo.bytes.resize(14 + 9000, 7);
    frames.push(jumbo);
    frames
}

/// Type and header of a packet from 10.0.0.1 to 10.0.0.2.
fn ipv4(protocol: u8) -> Vec<u8> {
    ipv4_between([10, 0, 0, 1], [10, 0, 0, 2], protocol, 64)
}

/// Type and header of a packet with so many bytes behind the header.
pub(crate) fn ipv4_between(from: [u8; 4], to: [u8; 4], protocol: u8, length: u16) -> Vec<u8> {
    let mut header =
        [&[0x45, 0][..], &(20 + length).to_be_bytes(), &[0, 1, 0, 0, 64, protocol, 0, 0], &from, &to]
            .concat();
    let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    [&[8, 0][..], &header].concat()
}

/// Type and packet of a question for `target`.
pub(crate) fn arp(sender: [u8; 4], target: [u8; 4], mac: [u8; 6]) -> Vec<u8> {
    [&[8, 6, 0, 1, 8, 0, 6, 4, 0, 1][..], &mac, &sender, &[0; 6], &target].concat()
}

/// Type, header and the first bytes of an ICMPv6 message of a kind.
fn ipv6(kind: u8) -> Vec<u8> {
    let header = [0x60, 0, 0, 0, 0, 64, 58, 255];
    let address = |last| [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    [&[0x86, 0xdd][..], &header, &address(1), &address(2), &[kind, 0, 0, 0, 0, 0, 0, 0]].concat()
}
