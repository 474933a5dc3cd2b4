//! Frames sent as they are, and who hears them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::bed::exec_ok;

/// What frames of tests end in, before their number: nothing else on the wire does.
const MAGIC: &str = "b1acc0de";

/// Prints the number of every frame of tests that interface `data` receives, until its input ends.
const LISTEN: &str = "
import select, socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
s.bind(('data', 0))
print('ready', flush=True)
last = False
while True:
    ready = select.select([s] if last else [s, sys.stdin], [], [], 1 if last else None)[0]
    if s in ready:
        frame, address = s.recvfrom(65536)
        if address[2] != socket.PACKET_OUTGOING and frame[-6:-2] == bytes.fromhex('b1acc0de'):
            print(int.from_bytes(frame[-2:], 'big'), flush=True)
    elif last:
        break
    else:
        last = True
";

/// Listens at interface `data` of a container.
pub(crate) struct Sniffer {
    child: Child,
}

impl Sniffer {
    /// Listens from when this returns.
    pub(crate) fn start(netns: &str) -> Self {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", netns, "python3", "-c", LISTEN]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        // Byte by byte: nothing may be read ahead.
        while !line.ends_with('\n') {
            let mut byte = [0];
            assert_eq!(stdout.read(&mut byte).unwrap(), 1, "the sniffer ended: {line}");
            line.push(char::from(byte[0]));
        }
        assert_eq!(line, "ready\n");
        Self { child }
    }

    /// How often each numbered frame was heard, once nothing came for a second.
    fn end(mut self) -> BTreeMap<u16, usize> {
        let mut heard = BTreeMap::new();
        for line in BufReader::new(self.child.stdout.take().unwrap()).lines() {
            *heard.entry(line.unwrap().parse().unwrap()).or_default() += 1;
        }
        assert!(self.child.wait().unwrap().success());
        heard
    }
}

impl Drop for Sniffer {
    fn drop(&mut self) {
        // Of a test that failed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What each has heard, all of them until the same time.
pub(crate) fn stop_all<const N: usize>(mut sniffers: [Sniffer; N]) -> [BTreeMap<u16, usize>; N] {
    sniffers.iter_mut().for_each(|sniffer| drop(sniffer.child.stdin.take()));
    sniffers.map(Sniffer::end)
}

/// A frame with its number at the end.
pub(crate) fn numbered(number: u16, frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let magic = (0..4).map(|i| u8::from_str_radix(&MAGIC[i * 2..i * 2 + 2], 16).unwrap());
    frame.extend(magic);
    frame.extend(number.to_be_bytes());
    frame
}

/// Sends frames out of interface `data` of a container.
pub(crate) fn send(netns: &str, frames: &[Vec<u8>]) {
    let hex = |frame: &Vec<u8>| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let all: Vec<String> = frames.iter().map(hex).collect();
    let script = format!(
        "import socket\ns = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)\ns.bind(('data', 0))\n\
         for frame in '{}'.split():\n    s.send(bytes.fromhex(frame))",
        all.join(" ")
    );
    exec_ok(netns, &["python3", "-c", &script]);
}
