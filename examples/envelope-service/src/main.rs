//! The process: `envelope-service SOCKET KEYWARD KEYS PRINCIPALS [PATIENCE]`.
//!
//! - SOCKET: path of the socket to listen on
//! - KEYWARD: where Keyward is: `http://127.0.0.1:7180` or `unix:/run/keyward/pdp.sock`
//! - KEYS: a file with a line `ARN FILE` for each key; FILE holds its 32 bytes
//! - PRINCIPALS: a file with a line `UID ARN` for each caller
//! - PATIENCE: how many milliseconds an answer of Keyward may take (500)

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::time::Duration;

use envelope_service::enforce::EnforceLayer;
use envelope_service::envelope::envelope_service_server::EnvelopeServiceServer;
use envelope_service::keys::Keys;
use envelope_service::server::Server;
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Endpoint;
use tower::Layer as _;
use zeroize::Zeroizing;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "expected SOCKET KEYWARD KEYS PRINCIPALS [PATIENCE]";
    let ([socket, keyward, keys, principals], rest) = arguments.split_first_chunk().ok_or(usage)?;
    let patience = match rest {
        [] => 500,
        [milliseconds] => milliseconds.parse()?,
        _ => return Err(usage.into()),
    };
    let principals: HashMap<u32, String> = pairs(principals)?
        .into_iter()
        .map(|(uid, arn)| Ok((uid.parse()?, arn)))
        .collect::<Result<_, Box<dyn Error>>>()?;
    let keys = pairs(keys)?
        .into_iter()
        .map(|(arn, file)| Ok((arn, Zeroizing::new(fs::read(file)?))))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    let keys = Keys::new(keys.iter().map(|(arn, key)| (arn.clone(), key.as_slice())))?;

    // Connects when first asked, and again when the connection is lost.
    let channel = Endpoint::from_shared(keyward.clone())?.connect_lazy();
    let keys = EnforceLayer::new(channel, Duration::from_millis(patience)).layer(keys);

    let listener = UnixListener::bind(socket)?;
    tonic::transport::Server::builder()
        .add_service(EnvelopeServiceServer::new(Server { keys, principals }))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    Ok(())
}

/// The lines of a file, each of two words.
fn pairs(file: &str) -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let text = fs::read_to_string(file)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let pair = |line: &str| {
        let (one, other) = line.split_once(' ').ok_or_else(|| format!("{file}: `{line}`"))?;
        Ok((one.to_owned(), other.trim().to_owned()))
    };
    lines.map(pair).collect()
}
