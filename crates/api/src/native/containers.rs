//! Commands in containers, and containers' output, as growing replies.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};
use llcm_runtime::{ExecSpec, LogOptions};
use serde::Deserialize;

use super::Reply;
use crate::access::trail;
use crate::body::{Object, query};
use crate::codes::Code;
use crate::error::ApiError;
use crate::find;
use crate::ndjson::{self, OutputLine};
use crate::state::ApiState;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Command {
    argv: Vec<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    terminal: bool,
}

/// A client that hangs up gives up the command's output; the command itself goes on.
pub(super) async fn exec(state: Data<ApiState>, at: Path<(String, String)>, body: Object<Command>) -> Reply {
    let (instance, name) = find::container(&state, &at.0, &at.1)?;
    trail::note("instance", instance);
    trail::note("container", &name);
    let Command { argv, environment, terminal } = body.0;
    if argv.first().is_none_or(String::is_empty) {
        return Err(ApiError::new(Code::BadRequest, "the field `argv` names no program"));
    }
    let spec = ExecSpec { argv, environment, terminal };
    let (response, lines) = ndjson::reply();
    let mut sink = lines.clone();
    tokio::spawn(async move {
        let orchestrator = state.orchestrator();
        let outcome = tokio::select! {
            outcome = orchestrator.exec(instance, &name, &spec, &mut sink) => outcome,
            () = lines.closed() => return,
        };
        let last = match outcome {
            Ok(outcome) => OutputLine::Ended { exit_code: outcome.exit_code },
            Err(error) => OutputLine::failed(&error.into()),
        };
        lines.send(&last).await;
    });
    Ok(response)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    #[serde(default)]
    follow: bool,
    tail: Option<u32>,
    #[serde(default)]
    timestamps: bool,
}

pub(super) async fn logs(state: Data<ApiState>, request: HttpRequest, at: Path<(String, String)>) -> Reply {
    let Which { follow, tail, timestamps } = query(&request)?;
    let (instance, name) = find::container(&state, &at.0, &at.1)?;
    let options = LogOptions { follow, tail, timestamps };
    let (response, lines) = ndjson::reply();
    let mut sink = lines.clone();
    tokio::spawn(async move {
        let orchestrator = state.orchestrator();
        let outcome = tokio::select! {
            outcome = orchestrator.logs(instance, &name, options, &mut sink) => outcome,
            () = lines.closed() => return,
            () = state.closing().cancelled(), if follow => {
                lines.send(&closing()).await;
                return;
            }
        };
        let last = match outcome {
            Ok(()) => OutputLine::Ended { exit_code: None },
            Err(error) => OutputLine::failed(&error.into()),
        };
        lines.send(&last).await;
    });
    Ok(response)
}

fn closing() -> OutputLine {
    OutputLine::failed(&ApiError::new(Code::ShuttingDown, "the server shuts down"))
}
