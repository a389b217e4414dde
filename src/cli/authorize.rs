//! `keyward authorize`: one decision, with the whole reasoning.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};

use super::config::{PolicyArgs, file, policies};
use super::{DENIED, DONE, FAILED, Format, PROBLEMS, USAGE, fail, render};
use crate::engine::decide::explain;
use crate::engine::term::time::Timestamp;
use crate::pdp::Pdp;
use crate::pdp::load::load;
use crate::rpc::server::now;
use crate::wire::cases::assertions::verify;
use crate::wire::proto::answer::{Envelope, response};
use crate::wire::proto::json;
use crate::wire::proto::request::request;
use crate::wire::v1;
use crate::wire::v1::authorization_service_client::AuthorizationServiceClient;

/// Arguments of `keyward authorize`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  keyward authorize --policies examples/quickstart --action kms:Decrypt --key alias/orders \\\n    \
                        --principal arn:aws:sts::111122223333:assumed-role/OrdersService/i-0abc --encryption-context \
                        tenant=42\n  keyward authorize --server unix:/run/keyward/pdp.sock --request question.json\n\n\
                        Exit codes: 0 allowed, 2 denied (key state too), 3 problems in policies, 64 usage or an \
                        invalid request"
)]
pub struct Args {
    #[command(flatten)]
    policies: PolicyArgs,

    /// Ask a running service instead of deciding here: host:port or unix:PATH
    #[arg(long, value_name = "ADDR", conflicts_with = "policies")]
    server: Option<String>,

    /// ARN of the caller, or the name of an AWS service
    #[arg(long, value_name = "ARN")]
    principal: Option<String>,

    /// ARN of the role behind a session, with its path
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,

    /// ARN of the IAM user behind a federated session
    #[arg(long, value_name = "ARN")]
    issuer_arn: Option<String>,

    /// IAM action (`kms:Decrypt`), or KMS operation (`ReEncrypt`)
    #[arg(long)]
    action: Option<String>,

    /// Key id, key ARN, alias name or alias ARN
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Pair of the encryption context; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    encryption_context: Vec<String>,

    /// Condition key and value; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    context: Vec<String>,

    /// Multivalued condition key and one of its values; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    multivalued_context: Vec<String>,

    /// Session tag; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    session_tag: Vec<String>,

    /// File with a session policy; repeatable
    #[arg(long, value_name = "FILE")]
    session_policy: Vec<PathBuf>,

    /// Grant token; repeatable
    #[arg(long, value_name = "TOKEN")]
    grant_token: Vec<String>,

    /// AWS service that calls on behalf of the principal
    #[arg(long, value_name = "SERVICE")]
    via_service: Option<String>,

    /// Parameters of the operation, as JSON
    #[arg(long, value_name = "JSON")]
    parameters: Option<String>,

    /// File with an AuthorizeRequest as JSON; the other flags change it
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,

    /// Decide as of this instant, such as 2026-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "server")]
    now: Option<String>,

    /// How to write it
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// Decides, and says why.
#[must_use]
pub fn run(args: &Args) -> u8 {
    let message = match message(args) {
        Ok(message) => message,
        Err(error) => return fail(USAGE, error),
    };
    let answered = match &args.server {
        Some(server) => online(server, message),
        None => offline(args, &message),
    };
    let response = match answered {
        Ok(response) => response,
        Err(code) => return code,
    };
    let written = match args.format {
        Format::Text => render::answer(&response, &mut io::stdout().lock()),
        Format::Json => match json::write("AuthorizeResponse", &response) {
            Ok(json) => writeln!(io::stdout(), "{json}"),
            Err(error) => return fail(FAILED, error),
        },
    };
    match written {
        Err(error) => fail(FAILED, error),
        Ok(()) if response.decision() == v1::Decision::Allowed => DONE,
        Ok(()) => DENIED,
    }
}

fn message(args: &Args) -> Result<v1::AuthorizeRequest, String> {
    let mut message = match &args.request {
        None => v1::AuthorizeRequest::default(),
        Some(path) => {
            let text =
                fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            json::read("AuthorizeRequest", &text)
                .map_err(|error| format!("{}: {error}", path.display()))?
        }
    };
    let principal = message.principal.get_or_insert_default();
    for (field, flag) in [
        (&mut principal.arn, &args.principal),
        (&mut principal.role_arn, &args.role_arn),
        (&mut principal.issuer_arn, &args.issuer_arn),
        (&mut message.action, &args.action),
        (&mut message.key_id, &args.key),
        (&mut message.region, &args.policies.region),
        (&mut message.via_service, &args.via_service),
    ] {
        if let Some(text) = flag {
            field.clone_from(text);
        }
    }
    principal.tags.extend(pairs("--session-tag", &args.session_tag)?);
    for path in &args.session_policy {
        let text =
            fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        principal.session_policies.push(text);
    }
    message.encryption_context.extend(pairs("--encryption-context", &args.encryption_context)?);
    message.context.extend(pairs("--context", &args.context)?);
    for (name, value) in pairs("--multivalued-context", &args.multivalued_context)? {
        message.multivalued_context.entry(name).or_default().values.push(value);
    }
    message.grant_tokens.extend(args.grant_token.iter().cloned());
    if let Some(text) = &args.parameters {
        message.parameters =
            Some(json::read("Parameters", text).map_err(|error| format!("--parameters: {error}"))?);
    }
    message.set_detail(v1::Detail::Full);
    Ok(message)
}

fn pairs(flag: &str, texts: &[String]) -> Result<Vec<(String, String)>, String> {
    let pair = |text: &String| {
        let (name, value) =
            text.split_once('=').ok_or_else(|| format!("{flag} `{text}`: expected NAME=VALUE"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    texts.iter().map(pair).collect()
}

fn offline(args: &Args, message: &v1::AuthorizeRequest) -> Result<v1::AuthorizeResponse, u8> {
    let config = file(&args.policies)
        .and_then(|file| policies(&args.policies, &file))
        .map_err(|error| fail(USAGE, error))?;
    let now = match &args.now {
        None => now(),
        Some(text) => Timestamp::parse(text).ok_or_else(|| {
            fail(USAGE, format!("--now `{text}`: expected a time such as 2026-01-01T00:00:00Z"))
        })?,
    };
    let built = load(&config.folder, &config.options, &|built, _| verify(built, now)).map_err(
        |problems| {
            // The exit code tells, if nobody reads standard error.
            let _ = render::problems(
                problems.as_slice(),
                &mut io::stderr().lock(),
                render::colour_on_stderr(),
            );
            PROBLEMS
        },
    )?;
    let pdp = Pdp::new(built.snapshot);
    let snapshot = pdp.snapshot();
    let request = request(message, now).map_err(|error| fail(USAGE, error))?;
    let (answer, explanation) = explain(&snapshot, &request).map_err(|error| fail(USAGE, error))?;
    let decision_id = uuid::Uuid::now_v7().to_string();
    let envelope = Envelope {
        request_id: &message.request_id,
        decision_id: &decision_id,
        revision: &snapshot.revision,
        consistency_token: &pdp.consistency_token(&snapshot),
        detail: v1::Detail::Full,
        cached: false,
    };
    Ok(response(&answer, Some(&explanation), &envelope))
}

fn online(server: &str, message: v1::AuthorizeRequest) -> Result<v1::AuthorizeResponse, u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| fail(FAILED, error))?;
    runtime.block_on(async {
        let channel = connect(server)
            .await
            .map_err(|error| fail(FAILED, format!("cannot reach `{server}`: {error}")))?;
        let answered = AuthorizationServiceClient::new(channel).authorize(message).await;
        answered.map(tonic::Response::into_inner).map_err(|status| {
            let code = if status.code() == tonic::Code::InvalidArgument { USAGE } else { FAILED };
            fail(code, format!("{}: {}", status.code(), status.message()))
        })
    })
}

async fn connect(server: &str) -> Result<Channel, Box<dyn std::error::Error>> {
    let Some(path) = server.strip_prefix("unix:") else {
        return Ok(Endpoint::from_shared(format!("http://{server}"))?.connect().await?);
    };
    let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
    let dial = tower::service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    Ok(Endpoint::from_static("http://keyward").connect_with_connector(dial).await?)
}
