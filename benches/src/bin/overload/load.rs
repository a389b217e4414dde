//! Load that does not wait for answers: HTTP/2 by the frame, so that one core offers several times
//! what another can answer.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Streams of a connection whose beginnings are remembered: a power of two.
const REMEMBERED: usize = 1 << 16;
/// Bytes that wait to be sent on a connection before nothing is added to them.
const WAITING: usize = 1 << 18;
/// Time before anything is counted.
pub const WARM_UP: Duration = Duration::from_secs(1);

/// What is sent.
pub struct Plan<'a> {
    pub address: &'a str,
    pub path: &'a str,
    /// gRPC messages with their prefix, in turn.
    pub messages: &'a [Vec<u8>],
    pub connections: usize,
    /// Calls a second, whatever the answers do; none: as many calls at once as `streams` allows.
    pub rate: Option<f64>,
    /// Calls at once on a connection; the server may allow fewer.
    pub streams: u32,
    /// After the warm-up.
    pub time: Duration,
}

/// What came of it.
#[derive(Default)]
pub struct Found {
    pub seconds: f64,
    /// Calls that were to be sent.
    pub due: u64,
    /// Calls that were sent: the rest found no stream free, or no window open.
    pub sent: u64,
    /// Calls that were answered.
    pub answered: u64,
    /// Calls that ended with a status and no answer.
    pub refused: u64,
    /// Calls that were reset.
    pub reset: u64,
    /// Connections that ended.
    pub lost: u64,
    /// From sending to the end of the answer, in microseconds.
    pub times: Vec<u32>,
}

impl Found {
    /// Answers a second.
    pub fn goodput(&self) -> f64 {
        self.answered as f64 / self.seconds
    }

    /// A quantile of the time that an answer took, in milliseconds.
    pub fn quantile(&mut self, share: f64) -> f64 {
        self.times.sort_unstable();
        let at = (self.times.len().saturating_sub(1) as f64 * share) as usize;
        self.times.get(at).map_or(f64::NAN, |time| f64::from(*time) / 1_000.0)
    }
}

/// Sends for as long as the plan says.
pub fn run(plan: &Plan<'_>) -> Found {
    let mut connections: Vec<_> = (0..plan.connections).map(|_| Connection::open(plan)).collect();
    let start = Instant::now();
    let (mut found, mut issued, mut warm) = (Found::default(), 0_u64, false);
    loop {
        let passed = start.elapsed();
        if !warm && passed >= WARM_UP {
            (found, warm) = (Found::default(), true);
        }
        if passed >= WARM_UP + plan.time {
            found.seconds = (passed - WARM_UP).as_secs_f64();
            return found;
        }
        let now = u64::try_from(passed.as_micros()).expect("a short time");
        match plan.rate {
            Some(rate) => {
                let due = (passed.as_secs_f64() * rate) as u64;
                while issued < due {
                    let at = issued as usize;
                    issued += 1;
                    found.due += 1;
                    let connection = &mut connections[at % plan.connections];
                    found.sent += u64::from(connection.ask(plan, at, now));
                }
            }
            None => {
                for connection in &mut connections {
                    while connection.ask(plan, issued as usize, now) {
                        issued += 1;
                        found.sent += 1;
                    }
                }
            }
        }
        for connection in &mut connections {
            if connection.turn(start, &mut found).is_none() {
                found.lost += 1;
                *connection = Connection::open(plan);
            }
        }
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// The longest frame that every server takes.
const FRAME: usize = 16_384;

/// A call.
#[derive(Clone, Copy, Default)]
struct Begun {
    at: u64,
    answered: bool,
    over: bool,
}

struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    came: Vec<u8>,
    next: u32,
    open: u32,
    limit: u32,
    /// Bytes of messages that the server still takes.
    window: i64,
    /// Bytes of answers that it was not given back.
    taken: u32,
    begun: Vec<Begun>,
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let [_, length @ ..] = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// The first headers of a connection put four fields into the table; all others name them.
fn headers(first: bool, path: &str) -> Vec<u8> {
    if !first {
        return vec![0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe];
    }
    let mut block = vec![0x83, 0x86];
    let mut text = |head: &[u8], texts: &[&str]| {
        block.extend_from_slice(head);
        for text in texts {
            block.push(u8::try_from(text.len()).expect("short"));
            block.extend_from_slice(text.as_bytes());
        }
    };
    text(&[0x44], &[path]);
    text(&[0x41], &["localhost"]);
    text(&[0x5f], &["application/grpc"]);
    text(&[0x40], &["te", "trailers"]);
    block
}

impl Connection {
    fn open(plan: &Plan<'_>) -> Self {
        let stream = TcpStream::connect(plan.address).expect("a connection");
        stream.set_nodelay(true).expect("an option");
        stream.set_nonblocking(true).expect("an option");
        let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // Answers of a stream, and of all of them, may be long.
        frame(&mut out, SETTINGS, 0, 0, &[0, 4, 0, 0x40, 0, 0]);
        frame(&mut out, WINDOW_UPDATE, 0, 0, &(1_u32 << 30).to_be_bytes());
        let begun = vec![Begun::default(); REMEMBERED];
        Self { stream, out, came: Vec::new(), next: 1, open: 0, limit: 0, window: 65_535, taken: 0, begun }
    }

    /// Sends a question if one more is allowed.
    fn ask(&mut self, plan: &Plan<'_>, turn: usize, now: u64) -> bool {
        let message = &plan.messages[turn % plan.messages.len()];
        let length = i64::try_from(message.len()).expect("a short message");
        if self.open >= self.limit.min(plan.streams) || self.window < length || self.out.len() > WAITING {
            return false;
        }
        frame(&mut self.out, HEADERS, END_HEADERS, self.next, &headers(self.next == 1, plan.path));
        let parts = message.chunks(FRAME);
        let last = parts.len() - 1;
        for (index, part) in parts.enumerate() {
            let flags = if index == last { END_STREAM } else { 0 };
            frame(&mut self.out, DATA, flags, self.next, part);
        }
        self.begun[self.next as usize / 2 % REMEMBERED] = Begun { at: now, ..Begun::default() };
        self.window -= length;
        self.open += 1;
        self.next += 2;
        true
    }

    /// Sends and reads what can be; `None` when the connection is over.
    fn turn(&mut self, start: Instant, found: &mut Found) -> Option<()> {
        if !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return None,
            }
        }
        let mut buffer = [0; 65_536];
        match self.stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(count) => self.came.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(()),
            Err(_) => return None,
        }
        let now = u64::try_from(start.elapsed().as_micros()).expect("a short time");
        let came = std::mem::take(&mut self.came);
        let mut rest = &*came;
        while let Some((head, after)) = rest.split_first_chunk::<9>() {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, after)) = after.split_at_checked(length) else { break };
            rest = after;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            self.heard(head[3], head[4], stream, payload, now, found)?;
        }
        self.came = rest.to_vec();
        Some(())
    }

    fn heard(
        &mut self,
        kind: u8,
        flags: u8,
        stream: u32,
        payload: &[u8],
        now: u64,
        found: &mut Found,
    ) -> Option<()> {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        let begun = &mut self.begun[stream as usize / 2 % REMEMBERED];
        match kind {
            DATA => {
                begun.answered |= !payload.is_empty();
                self.taken += u32::try_from(payload.len()).expect("a short frame");
                if self.taken > 1 << 24 {
                    frame(&mut self.out, WINDOW_UPDATE, 0, 0, &self.taken.to_be_bytes());
                    self.taken = 0;
                }
            }
            HEADERS if flags & END_STREAM != 0 => {
                self.open -= 1;
                begun.over = true;
                if begun.answered {
                    found.answered += 1;
                    found.times.push(u32::try_from(now.saturating_sub(begun.at)).unwrap_or(u32::MAX));
                } else {
                    found.refused += 1;
                }
            }
            // After an answer it only says that the rest of the question is not wanted.
            RST_STREAM if !begun.over => {
                begun.over = true;
                self.open -= 1;
                found.reset += 1;
            }
            SETTINGS if flags & ACK == 0 => {
                self.limit = u32::MAX;
                for setting in payload.chunks_exact(6) {
                    if setting[..2] == [0, 3] {
                        self.limit = number(&setting[2..]);
                    }
                }
                frame(&mut self.out, SETTINGS, ACK, 0, &[]);
            }
            PING if flags & ACK == 0 => frame(&mut self.out, PING, ACK, 0, payload),
            WINDOW_UPDATE if stream == 0 => self.window += i64::from(number(payload)),
            GOAWAY => return None,
            _ => {}
        }
        Some(())
    }
}
