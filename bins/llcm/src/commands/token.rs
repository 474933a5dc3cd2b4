//! `llcm token`: the tokens that open a server. No server is asked: one that runs sees the change at once.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use llcm_access::{AccessError, AuditLog, Beginning, End, NewToken, TokenFile};
use llcm_api::Moment;
use llcm_lifecycle::{Clock as _, SystemClock};
use serde_json::json;

use crate::cli::Output;
use crate::config::raw::RawConfig;
use crate::config::{access, file};
use crate::output;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Verb {
    /// Make a token and print it: this once, for only its hash is kept.
    Create(CreateArgs),
    /// List the tokens.
    Ls(LsArgs),
    /// Remove tokens: whoever shows one from then on is refused.
    Rm(RmArgs),
}

/// Where the tokens are: as `llcm serve` is told.
#[derive(Debug, Clone, clap::Args)]
struct Place {
    /// Where the server keeps its state. [default: as for `llcm serve`]
    #[arg(long, env = "LLCM_DATA_DIR", hide_env_values = true, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The file of tokens. [default: as for `llcm serve`]
    #[arg(long, env = "LLCM_TOKENS_FILE", hide_env_values = true, value_name = "FILE")]
    tokens_file: Option<PathBuf>,
    /// The server's configuration file. [default: as for `llcm serve`]
    #[arg(long, env = "LLCM_CONFIG", hide_env_values = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Clone, clap::Args)]
struct CreateArgs {
    /// What it is called, in the list and in the audit log. [default: token-1, token-2...]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// For looking only: it changes nothing.
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, clap::Args)]
struct LsArgs {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Clone, clap::Args)]
struct RmArgs {
    /// The tokens' names.
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    #[command(flatten)]
    place: Place,
}

/// The two files that a command is about.
struct Files {
    tokens: TokenFile,
    audit: AuditLog,
}

impl Place {
    fn open(self) -> anyhow::Result<Files> {
        let below = file::read(self.config.as_deref())?;
        let given =
            RawConfig { data_dir: self.data_dir, tokens_file: self.tokens_file, ..RawConfig::default() };
        let settings = given.over(below);
        let data_dir = settings.data_dir()?;
        let tokens = TokenFile::at(access::tokens_file(&settings, &data_dir));
        Ok(Files { tokens, audit: AuditLog::in_dir(data_dir, settings.audit_options()) })
    }
}

impl Files {
    /// Does something to a token, and writes down before that it is asked for and after that what came of it.
    fn change<T>(
        &self,
        command: &str,
        name: &str,
        change: impl FnOnce() -> Result<(String, T), AccessError>,
    ) -> anyhow::Result<T> {
        let beginning = Beginning {
            at: now(),
            listener: None,
            dialect: None,
            peer: None,
            by: format!("user:{}", rustix::process::getuid().as_raw()),
            method: "CLI".to_owned(),
            route: command.to_owned(),
            path: name.to_owned(),
        };
        let id =
            self.audit.begin(beginning).context("nothing was changed, because it cannot be written down")?;
        let outcome = change();
        let end = match &outcome {
            Ok((name, _)) => {
                let objects = [("token".to_owned(), vec![name.clone()])].into();
                End { at: now(), status: Some(200), code: None, objects }
            }
            Err(error) => {
                End { at: now(), status: Some(500), code: Some(error.code().to_owned()), ..End::default() }
            }
        };
        let ended = self.audit.end(id, end).context("what came of it is not in the audit log");
        let (_, result) = outcome?;
        ended?;
        Ok(result)
    }
}

fn now() -> String {
    Moment(SystemClock.now()).to_string()
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.verb {
        Verb::Create(args) => create(args),
        Verb::Ls(args) => list(args),
        Verb::Rm(args) => remove(args),
    }
}

fn create(args: CreateArgs) -> anyhow::Result<ExitCode> {
    let files = args.place.open()?;
    let created_at = now();
    let wanted = NewToken { name: args.name.as_deref(), read_only: args.read_only, created_at: &created_at };
    let (token, secret) = files.change("token create", args.name.as_deref().unwrap_or_default(), || {
        files.tokens.create(&wanted).map(|(token, secret)| (token.name.clone(), (token, secret)))
    })?;
    if args.output.is_json() {
        let shown = json!({ "name": token.name, "read_only": token.read_only, "token": secret.expose() });
        output::json(&shown)?;
    } else {
        output::line(secret.expose())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(args: LsArgs) -> anyhow::Result<ExitCode> {
    let tokens = args.place.open()?.tokens.list()?;
    if args.output.is_json() {
        let shown: Vec<_> = tokens
            .iter()
            .map(|it| json!({ "name": it.name, "read_only": it.read_only, "created_at": it.created_at }))
            .collect();
        output::json(&shown)?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows = tokens.into_iter().map(|token| {
        let may = if token.read_only { "read" } else { "everything" };
        vec![token.name, may.to_owned(), token.created_at]
    });
    output::print_table(&output::table(&["TOKEN", "MAY", "CREATED"], rows))?;
    Ok(ExitCode::SUCCESS)
}

fn remove(args: RmArgs) -> anyhow::Result<ExitCode> {
    let files = args.place.open()?;
    for name in &args.names {
        files.change("token rm", name, || files.tokens.remove(name).map(|token| (token.name, ())))?;
    }
    Ok(ExitCode::SUCCESS)
}
