//! What clients do that mean no good. Each attack is one connection, or a few.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use keyward_benches::served::KEYS;
use keyward_benches::world::request;
use prost::Message as _;

/// Connections that an attacker holds open at once.
const HELD: usize = 64;
/// Questions whose answers an attacker leaves untaken, on one connection.
const ASKED: u32 = 100;
/// How long an attacker waits for the server to say something.
const PATIENCE: Duration = Duration::from_millis(50);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const METHODS: [&str; 3] = ["Authorize", "BatchAuthorize", "AuthorizeStream"];

/// A source of numbers that look random: xorshift.
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % sides
    }
}

/// An attacker, with the connections that it holds.
pub struct Attacker {
    address: String,
    dice: Dice,
    held: Vec<TcpStream>,
}

/// The kinds of attack, each with its name.
pub const KINDS: [(&str, fn(&mut Attacker)); 9] = [
    ("malformed protobuf", Attacker::malformed),
    ("giant headers", Attacker::giant_headers),
    ("headers without end", Attacker::endless_headers),
    ("rapid reset", Attacker::rapid_reset),
    ("half open", Attacker::half_open),
    ("half a message", Attacker::half_a_message),
    ("slow reads", Attacker::slow_reads),
    ("no HTTP/2", Attacker::nonsense),
    ("frames at random", Attacker::random_frames),
];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn block(method: &str) -> Vec<u8> {
    let path = format!("/keyward.v1.AuthorizationService/{method}");
    let mut block = vec![0x83, 0x86, 0x04, u8::try_from(path.len()).expect("short")];
    block.extend(path.as_bytes());
    block.extend(b"\x0f\x10\x10application/grpc\x00\x02te\x08trailers");
    block
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0][..], &u32::try_from(message.len()).expect("short").to_be_bytes(), message].concat()
}

impl Attacker {
    pub fn new(address: &str, seed: u64) -> Self {
        Self { address: address.to_owned(), dice: Dice(seed), held: Vec::new() }
    }

    /// Makes one attack of some kind; says which.
    pub fn attack(&mut self) -> usize {
        let kind = self.dice.roll(KINDS.len());
        KINDS[kind].1(self);
        kind
    }

    /// A connection with the beginning of HTTP/2 and more; what is sent may be cut short.
    fn send(&mut self, parts: &[&[u8]]) -> Option<TcpStream> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        let begin = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
        // The server may have had enough before the end.
        let _ = stream.write_all(&begin).and_then(|()| parts.iter().try_for_each(|part| stream.write_all(part)));
        Some(stream)
    }

    /// Keeps a connection open without looking at it, in place of an older one.
    fn hold(&mut self, stream: Option<TcpStream>) {
        self.held.extend(stream);
        if self.held.len() > HELD {
            let index = self.dice.roll(self.held.len());
            self.held.swap_remove(index);
        }
    }

    fn method(&mut self) -> &'static str {
        METHODS[self.dice.roll(METHODS.len())]
    }

    /// A message with bytes changed, taken out or put in, or cut short.
    fn malformed(&mut self) {
        let mut message = request(self.dice.roll(KEYS)).encode_to_vec();
        for _ in 0..=self.dice.roll(8) {
            let at = self.dice.roll(message.len());
            let byte = self.dice.roll(256) as u8;
            match self.dice.roll(4) {
                0 => message[at] = byte,
                1 => message.insert(at, byte),
                2 if message.len() > 1 => drop(message.remove(at)),
                _ => message.truncate(at.max(1)),
            }
        }
        let method = self.method();
        let call = [frame(HEADERS, 4, 1, &block(method)), frame(DATA, 1, 1, &framed(&message))].concat();
        if let Some(mut stream) = self.send(&[&call]) {
            let _ = stream.read(&mut [0; 4096]);
        }
    }

    /// Headers far beyond what is taken, that do end.
    fn giant_headers(&mut self) {
        let method = self.method();
        let mut parts = vec![frame(HEADERS, 0, 1, &block(method))];
        for _ in 0..64 {
            // A field that is not indexed: a name of one letter and a value of 8,000.
            let field = [&[0x00, 0x01, b'x', 0x7f, 0xc1, 0x3d][..], &[b'v'; 8_000]].concat();
            parts.push(frame(CONTINUATION, 0, 1, &field));
        }
        parts.push(frame(CONTINUATION, 4, 1, &[]));
        let parts: Vec<&[u8]> = parts.iter().map(|part| &**part).collect();
        if let Some(mut stream) = self.send(&parts) {
            let _ = stream.read(&mut [0; 4096]);
        }
    }

    /// Headers that never end.
    fn endless_headers(&mut self) {
        let begin = frame(HEADERS, 0, 1, &[0x83, 0x86, 0x84]);
        let more = frame(CONTINUATION, 0, 1, &[0x40; 16_000]).repeat(200);
        let stream = self.send(&[&begin, &more]);
        self.hold(stream);
    }

    /// Calls that are given up as soon as they began.
    fn rapid_reset(&mut self) {
        let method = self.method();
        let mut calls = Vec::new();
        for stream in (1..4_001_u32).step_by(2) {
            calls.extend(frame(HEADERS, 4, stream, &block(method)));
            calls.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
        }
        if let Some(mut stream) = self.send(&[&calls]) {
            let _ = stream.read(&mut [0; 4096]);
        }
    }

    /// Nothing, or the beginning of a preface.
    fn half_open(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(&self.address) {
            let _ = stream.write_all(&PREFACE[..self.dice.roll(PREFACE.len())]);
            self.hold(Some(stream));
        }
    }

    /// A message of which most never comes.
    fn half_a_message(&mut self) {
        let method = self.method();
        let claimed = self.dice.roll(4 * 1024 * 1024) as u32;
        let begun = [&[0][..], &claimed.to_be_bytes(), &[0x0a; 60_000][..self.dice.roll(16_000)]].concat();
        let stream = self.send(&[&frame(HEADERS, 4, 1, &block(method)), &frame(DATA, 0, 1, &begun)]);
        self.hold(stream);
    }

    /// Many questions, whose answers are never taken: they are not read, or no window is open for them.
    fn slow_reads(&mut self) {
        let message = framed(&request(self.dice.roll(KEYS)).encode_to_vec());
        let window: u32 = if self.dice.roll(2) == 0 { 0 } else { 1 << 30 };
        let begin = frame(SETTINGS, 0, 0, &[&[0, 4][..], &window.to_be_bytes()].concat());
        let mut calls = Vec::new();
        // As much as the server's window takes.
        for stream in (1..2 * ASKED).step_by(2) {
            calls.extend(frame(HEADERS, 4, stream, &block(METHODS[0])));
            calls.extend(frame(DATA, 1, stream, &message));
        }
        let open = frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
        let stream = self.send(&[&begin, &open, &calls]);
        self.hold(stream);
    }

    fn nonsense(&mut self) {
        if let Ok(mut stream) = TcpStream::connect(&self.address) {
            let _ = stream.set_read_timeout(Some(PATIENCE));
            let bytes: Vec<u8> = (0..self.dice.roll(4_096)).map(|_| self.dice.roll(256) as u8).collect();
            let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").and_then(|()| stream.write_all(&bytes));
            let _ = stream.read(&mut [0; 4096]);
        }
    }

    /// Frames of all kinds on a few streams, some of them longer than they say.
    fn random_frames(&mut self) {
        let mut frames = Vec::new();
        for _ in 0..self.dice.roll(64) {
            let kinds = [DATA, HEADERS, 2, RST_STREAM, SETTINGS, 5, PING, 7, WINDOW_UPDATE, CONTINUATION, 0xff];
            let payload: Vec<u8> = match self.dice.roll(3) {
                0 => block(self.method()),
                _ => (0..self.dice.roll(64)).map(|_| self.dice.roll(256) as u8).collect(),
            };
            let (kind, flags) = (kinds[self.dice.roll(kinds.len())], self.dice.roll(256) as u8);
            let mut bytes = frame(kind, flags, self.dice.roll(6) as u32, &payload);
            if self.dice.roll(8) == 0 {
                bytes[0] = 0xff;
            }
            frames.extend(bytes);
        }
        if let Some(mut stream) = self.send(&[&frames]) {
            let _ = stream.read(&mut [0; 4096]);
        }
    }
}
