//! Output of containers and commands, parted into standard output and standard error.

use llcm_runtime::{OutputChunk, OutputStream};

/// The length of a frame's header.
const HEADER: usize = 8;

/// Parts standard output from standard error (Docker Engine API, "Stream format": eight bytes of header,
/// the first telling the stream, the last four the length, then so many bytes). A terminal has one stream
/// and no headers. Nothing is held back until a frame is whole.
#[derive(Debug)]
pub(crate) struct Streams {
    terminal: bool,
    header: Vec<u8>,
    stream: OutputStream,
    left: usize,
}

impl Streams {
    /// The reader for output from a terminal, or from two streams.
    pub(crate) fn new(terminal: bool) -> Self {
        Self { terminal, header: Vec::with_capacity(HEADER), stream: OutputStream::Stdout, left: 0 }
    }

    /// What these bytes hold.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) -> Vec<OutputChunk> {
        if self.terminal {
            return vec![OutputChunk { stream: OutputStream::Stdout, bytes: bytes.to_vec() }];
        }
        let mut chunks = Vec::new();
        while !bytes.is_empty() {
            if self.left == 0 {
                let (head, rest) = bytes.split_at(bytes.len().min(HEADER - self.header.len()));
                self.header.extend_from_slice(head);
                bytes = rest;
                if let &[stream, _, _, _, a, b, c, d] = self.header.as_slice() {
                    self.stream = if stream == 2 { OutputStream::Stderr } else { OutputStream::Stdout };
                    self.left = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                    self.header.clear();
                }
                continue;
            }
            let (data, rest) = bytes.split_at(bytes.len().min(self.left));
            chunks.push(OutputChunk { stream: self.stream, bytes: data.to_vec() });
            self.left -= data.len();
            bytes = rest;
        }
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_parted_wherever_the_bytes_are_cut() {
        let mut bytes = Vec::new();
        for (stream, text) in [(1, "out"), (2, "error"), (1, ""), (1, "\x01\x02")] {
            bytes.extend_from_slice(&[stream, 0, 0, 0, 0, 0, 0, u8::try_from(text.len()).unwrap()]);
            bytes.extend_from_slice(text.as_bytes());
        }
        for size in 1..=bytes.len() {
            let mut streams = Streams::new(false);
            let (mut out, mut error) = (Vec::new(), Vec::new());
            for piece in bytes.chunks(size) {
                for chunk in streams.push(piece) {
                    match chunk.stream {
                        OutputStream::Stdout => out.extend(chunk.bytes),
                        OutputStream::Stderr => error.extend(chunk.bytes),
                    }
                }
            }
            assert_eq!(
                (out.as_slice(), error.as_slice()),
                (&b"out\x01\x02"[..], &b"error"[..]),
                "cut at {size}"
            );
        }
    }

    #[test]
    fn a_terminals_bytes_are_passed_on_as_they_are() {
        let mut streams = Streams::new(true);
        let bytes = [1, 0, 0, 0, 255, 255, 255, 255, 0];
        let expected = OutputChunk { stream: OutputStream::Stdout, bytes: bytes.to_vec() };
        assert_eq!(streams.push(&bytes), [expected]);
    }
}
