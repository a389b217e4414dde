//! Restarts: what was begun is answered, whoever connected is served, and a client that balances
//! notices nothing.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use prost::Message as _;

use crate::clients::generated;
use crate::decision_log::question;
use crate::doors::text;
use crate::served::Served;

const ANY: &str = "127.0.0.1:0";

/// Processes of the deployment.
const PROCESSES: usize = 3;

/// An address of this machine that is not the one from which connections are made, so that no other
/// test is given the port between the end of a process and the start of the next.
fn address(turn: usize) -> String {
    let [.., high, low] = std::process::id().to_be_bytes();
    let host = format!("127.{}.{high}.{low}:0", 100 + turn);
    let listener = TcpListener::bind(host).expect("a port");
    listener.local_addr().expect("an address").to_string()
}

fn start(address: &str) -> Served {
    let served = Served::start(address, &["--http-listen", ANY]);
    assert_eq!(served.address, address);
    served
}

/// The client of `examples/go/several`, which asks all the while.
struct Client {
    process: Child,
    answers: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Client {
    fn built(folder: &Path) -> PathBuf {
        generated();
        let binary = folder.join("several");
        let mut build = Command::new("go");
        build.current_dir("examples/go").arg("build").arg("-o").arg(&binary).arg("./several");
        let output = build.output().expect("go");
        assert!(output.status.success(), "{}", text(&output.stderr));
        binary
    }

    fn start(binary: &Path, addresses: &[String]) -> Self {
        let mut command = Command::new(binary);
        command.args(addresses).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("the client");
        let answers = BufReader::new(process.stdout.take().expect("its answers")).lines();
        Self { process, answers }
    }

    /// Waits for so many lines, each of which stands for more answers.
    fn more(&mut self, lines: usize) {
        for _ in 0..lines {
            if self.answers.next().is_none() {
                let mut said = String::new();
                let mut errors = self.process.stderr.take().expect("its errors");
                errors.read_to_string(&mut said).expect("what it says");
                panic!("the client gave up: {said}");
            }
        }
    }

    /// Tells it to stop; it ends well if every answer was there and right.
    fn stop(mut self) {
        drop(self.process.stdin.take());
        while self.answers.next().is_some() {}
        let output = self.process.wait_with_output().expect("an end");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
}

#[test]
fn processes_are_restarted_one_by_one_and_a_client_that_balances_notices_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let binary = Client::built(folder.path());
    let mut served: Vec<_> = (0..PROCESSES).map(|turn| start(&address(turn))).collect();
    let addresses: Vec<_> = served.iter().map(|served| served.address.clone()).collect();
    let mut client = Client::start(&binary, &addresses);
    // All of them are asked, and asked again after their restart.
    let asked = |served: &Served, client: &mut Client| {
        while served.metric("keyward_decisions_total", "") == 0 {
            client.more(1);
        }
    };
    for served in &served {
        asked(served, &mut client);
    }
    for turn in 0..3 * PROCESSES {
        client.more(20);
        let before = served.remove(0);
        let address = before.address.clone();
        if turn % 2 == 0 {
            // Ends with 0: nothing in flight was cut off.
            let told = before.stop_and_read();
            assert!(!told.contains("cut off"), "{told}");
            client.more(5);
            served.push(start(&address));
        } else {
            // The next one is there before its clients have found another way.
            before.stop();
            served.push(start(&address));
        }
        asked(&served[PROCESSES - 1], &mut client);
    }
    client.stop();
    served.into_iter().for_each(Served::stop);
}

/// A client that speaks HTTP/2 by the frame.
struct Frames(TcpStream);

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

/// The flags of the last frame of a stream, of headers that are whole, and of what is acknowledged.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

impl Frames {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        let mut frames = Self(stream);
        frames.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("a preface");
        frames.send(SETTINGS, 0, 0, &[]);
        frames
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.0.write_all(&[&head, payload].concat()).expect("a frame");
    }

    /// The headers of a question.
    fn begin(&mut self, stream: u32) {
        let path = b"/keyward.v1.AuthorizationService/Authorize";
        let mut block = vec![0x83, 0x86, 0x04, u8::try_from(path.len()).expect("short")];
        block.extend_from_slice(path);
        block.extend_from_slice(b"\x0f\x10\x10application/grpc");
        self.send(HEADERS, END_HEADERS, stream, &block);
    }

    /// The rest of it.
    fn finish(&mut self, stream: u32) {
        let message = question("42").encode_to_vec();
        let length = u32::try_from(message.len()).expect("short").to_be_bytes();
        self.send(DATA, END_STREAM, stream, &[&[0][..], &length, &message].concat());
    }

    /// The next frame; `None` at the end of the connection.
    fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        if self.0.read(&mut head[..1]).expect("a frame, or an end without a reset") == 0 {
            return None;
        }
        self.0.read_exact(&mut head[1..]).expect("a frame");
        let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        let mut payload = vec![0; usize::try_from(number(&head[..3])).expect("a short frame")];
        self.0.read_exact(&mut payload).expect("a frame");
        Some(Frame { kind: head[3], flags: head[4], stream: number(&head[5..]), payload })
    }

    /// The next frame of a kind.
    fn until(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().expect("more frames");
            if frame.kind == kind && (kind != PING || frame.flags & ACK == 0) {
                return frame;
            }
        }
    }

    /// A question.
    fn ask(&mut self, stream: u32) {
        self.begin(stream);
        self.finish(stream);
    }

    /// Goes on as a client does until the end of the connection: the streams that were answered.
    fn answered(mut self) -> Vec<u32> {
        let (mut answers, mut ended) = (Vec::new(), Vec::new());
        while let Some(frame) = self.next() {
            match frame.kind {
                DATA if !frame.payload.is_empty() => answers.push(frame.stream),
                HEADERS if frame.flags & END_STREAM != 0 => ended.push(frame.stream),
                PING if frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload),
                _ => {}
            }
        }
        answers.sort_unstable();
        ended.sort_unstable();
        assert_eq!(answers, ended);
        answers
    }

    /// Is asked to end, with one call begun and one that begins only now: both are answered, and
    /// one that begins after that is left to be asked elsewhere.
    fn ends_well(mut self) {
        // The highest stream of all: nothing is refused yet.
        assert_eq!(self.until(GOAWAY).payload[..4], [0x7f, 0xff, 0xff, 0xff]);
        let ping = self.until(PING);
        self.ask(3);
        self.send(PING, ACK, 0, &ping.payload);
        let last = self.until(GOAWAY);
        assert_eq!(last.payload[..8], [0, 0, 0, 3, 0, 0, 0, 0], "{last:?}");
        self.ask(5);
        self.finish(1);
        assert_eq!(self.answered(), [1, 3]);
    }
}

#[test]
fn who_waits_to_be_accepted_when_the_service_stops_is_answered() {
    let served = Served::start(ANY, &["--limits-connections", "1"]);
    // It has the only place; the others wait in the operating system, with their questions.
    let mut first = Frames::connect(&served.address);
    first.ask(1);
    while first.until(HEADERS).flags & END_STREAM == 0 {}
    let waiting: Vec<_> = (0..20)
        .map(|_| {
            let mut frames = Frames::connect(&served.address);
            frames.ask(1);
            std::thread::spawn(|| frames.answered())
        })
        .collect();
    served.signal("-TERM");
    assert!(first.answered().is_empty());
    for answered in waiting {
        assert_eq!(answered.join().expect("no panic"), [1]);
    }
    let told = served.ended_and_read();
    assert!(!told.contains("cut off"), "{told}");
}

#[test]
fn what_begins_while_a_connection_is_asked_to_end_is_answered() {
    let served = Served::start(ANY, &[]);
    let mut frames = Frames::connect(&served.address);
    frames.begin(1);
    // It is there: what was sent after it was read.
    frames.send(PING, 0, 0, &[1; 8]);
    while frames.next().expect("an answer").kind != PING {}
    served.signal("-TERM");
    frames.ends_well();
    let told = served.ended_and_read();
    assert!(!told.contains("cut off"), "{told}");
}

#[test]
fn a_connection_of_age_is_asked_to_end_and_not_cut() {
    let served = Served::start(ANY, &["--limits-connection-age", "100ms"]);
    let mut frames = Frames::connect(&served.address);
    frames.begin(1);
    frames.ends_well();
    // And others are as welcome as before.
    Frames::connect(&served.address).until(GOAWAY);
    served.stop();
}
