//! `keyward simulate`: cases on standard input, answers on standard output.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::panic::catch_unwind;
use std::thread;

use super::{DONE, FAILED, fail};
use crate::rpc::server::now;
use crate::wire::case::answer;

/// Lines that are read before they are answered, all threads together.
const CHUNK: usize = 4096;

/// Arguments of `keyward simulate`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each line is a case: {\"id\":…,\"documents\":[…],\"now\":\"2026-01-01T00:00:00Z\",\"request\":{…}}, with \
                  `contextOverrides` and `options` as it likes. Other members are ignored.\n\nExample:\n  keyward \
                  simulate < cases.jsonl | jq -r '[.id, .decision] | @tsv'"
)]
pub struct Args {}

/// Answers every line.
#[must_use]
pub fn run(_: &Args) -> u8 {
    let output = io::BufWriter::new(io::stdout().lock());
    match answer_all(BufReader::new(io::stdin().lock()), output) {
        Ok(()) => DONE,
        // Whoever read the answers has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => DONE,
        Err(error) => fail(FAILED, error),
    }
}

fn answer_all(mut input: BufReader<impl Read>, mut output: impl Write) -> io::Result<()> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    loop {
        let lines = chunk(&mut input)?;
        if lines.is_empty() {
            return output.flush();
        }
        for answers in in_parallel(&lines, threads) {
            for answer in answers {
                writeln!(output, "{answer}")?;
            }
        }
        output.flush()?;
    }
}

/// The next lines: as many as are there at once, at least one until the input ends.
fn chunk(input: &mut BufReader<impl Read>) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    while lines.len() < CHUNK {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        if !text.trim().is_empty() {
            lines.push(text.to_owned());
        }
        // An answer that somebody waits for is not held back.
        if !input.buffer().contains(&b'\n') && !lines.is_empty() {
            break;
        }
    }
    Ok(lines)
}

fn in_parallel(lines: &[String], threads: usize) -> Vec<Vec<String>> {
    let share = lines.len().div_ceil(threads).max(1);
    let answer_share =
        |lines: &[String]| -> Vec<String> { lines.iter().map(|line| one(line)).collect() };
    if lines.len() == 1 {
        return vec![answer_share(lines)];
    }
    thread::scope(|scope| {
        let workers: Vec<_> =
            lines.chunks(share).map(|lines| scope.spawn(move || answer_share(lines))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_default()).collect()
    })
}

/// Answers one line. A defect of ours costs this line its answer, and no other.
fn one(line: &str) -> String {
    let found = catch_unwind(|| answer(line, now()).to_string());
    found.unwrap_or_else(|_| {
        r#"{"id":null,"error":{"kind":"invalidCase","problems":[{"code":"defect","message":"this is a defect of Keyward"}]}}"#
            .to_owned()
    })
}
