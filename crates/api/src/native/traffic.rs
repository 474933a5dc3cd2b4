//! Seeing what flows: counters, and frames as growing replies.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use async_trait::async_trait;
use llcm_lifecycle::request::{CaptureOptions, CaptureTarget};
use llcm_names::DcName;
use llcm_runtime::{Frame, FrameSink};
use serde::Deserialize;

use super::Reply;
use super::view::{InterfaceStats, LinkStats};
use crate::access::trail;
use crate::body::Object;
use crate::codes::Code;
use crate::error::ApiError;
use crate::find;
use crate::ndjson::{self, CaptureLine, Lines};
use crate::state::ApiState;

/// Bytes of each frame that are sent unless the request says otherwise: all of any frame that the kernel makes.
const SNAP_LENGTH: u32 = 262_144;
/// How often a capture without frames shows that it lives.
const BEAT: Duration = Duration::from_secs(15);

pub(super) async fn of_instance(state: Data<ApiState>, id: Path<String>) -> Reply {
    let traffic = state.orchestrator().traffic(find::instance_id(&id)?).await?;
    Ok(HttpResponse::Ok().json(traffic.into_iter().map(InterfaceStats::from).collect::<Vec<_>>()))
}

pub(super) async fn of_links(state: Data<ApiState>) -> Reply {
    let links = state.orchestrator().link_traffic().await?;
    Ok(HttpResponse::Ok().json(links.into_iter().map(LinkStats::from).collect::<Vec<_>>()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    instance: Option<String>,
    container: Option<String>,
    interface: Option<String>,
    link: Option<String>,
    end: Option<String>,
    count: Option<u64>,
    seconds: Option<u64>,
    snap_length: Option<u32>,
}

impl Wanted {
    fn target(&self) -> Result<CaptureTarget, ApiError> {
        let bad = |message: &str| ApiError::new(Code::BadRequest, message.to_owned());
        match (&self.instance, &self.container, &self.interface, &self.link, &self.end) {
            (Some(instance), Some(container), Some(interface), None, None) => Ok(CaptureTarget::Interface {
                instance: find::instance_id(instance)?,
                container: container.clone(),
                interface: interface.clone(),
            }),
            (None, None, None, Some(name), end) => {
                let end = end.as_deref().map(DcName::parse).transpose();
                let end = end.map_err(|error| bad(&format!("the field `end`: {error}")))?;
                Ok(CaptureTarget::Link { name: name.clone(), end })
            }
            _ => Err(bad(
                "name `instance`, `container` and `interface`, or `link` and, if you like, its `end`",
            )),
        }
    }
}

/// A client that hangs up ends the capture.
pub(super) async fn capture(state: Data<ApiState>, body: Object<Wanted>) -> Reply {
    let asked = body.0.target()?;
    if let CaptureTarget::Interface { instance, .. } = &asked {
        trail::note("instance", instance);
    }
    let target = state.orchestrator().capture_target(&asked)?;
    match &target {
        CaptureTarget::Interface { instance, container, interface } => {
            trail::note("instance", instance);
            trail::note("interface", format!("{container}:{interface}"));
        }
        CaptureTarget::Link { name, end } => {
            trail::note("link", name);
            end.iter().for_each(|end| trail::note("end", end));
        }
    }
    // The path does not tell it, and frames are sent from the beginning of the reply on.
    trail::write_down().await?;
    let options = CaptureOptions {
        snap_length: body.0.snap_length.unwrap_or(SNAP_LENGTH).clamp(14, SNAP_LENGTH),
        duration: body.0.seconds.map(Duration::from_secs),
    };
    // What is wrong with the target is told by the status: the reply begins when frames are looked at.
    let (response, lines) = ndjson::reply();
    let (begun, begins) = tokio::sync::oneshot::channel();
    let mut sink = Sink {
        lines: lines.clone(),
        begun: Some(begun),
        left: body.0.count.unwrap_or(u64::MAX),
        frames: 0,
        dropped: 0,
    };
    let running = tokio::spawn(async move {
        let orchestrator = state.orchestrator();
        let outcome = tokio::select! {
            outcome = orchestrator.capture(&target, options, &mut sink) => outcome,
            () = hung_up(&lines) => return Ok(()),
            () = state.closing().cancelled() => {
                let closing = ApiError::new(Code::ShuttingDown, "the server shuts down");
                lines.send(&CaptureLine::failed(&closing)).await;
                return Ok(());
            }
        };
        match outcome {
            Ok(end) if end.gone => {
                let error = ApiError::new(Code::PointNotFound, gone(&target));
                lines.send(&CaptureLine::gone(&error, end.dropped)).await;
                Ok(())
            }
            Ok(end) => {
                lines.send(&CaptureLine::Ended { frames: sink.frames, dropped: end.dropped }).await;
                Ok(())
            }
            // Nobody has been told that it began: the error is the reply.
            Err(error) if sink.begun.is_some() => Err(error),
            Err(error) => {
                lines.send(&CaptureLine::failed(&error.into())).await;
                Ok(())
            }
        }
    });
    match begins.await {
        Ok(()) => Ok(response),
        // It ended before it began.
        Err(_) => match running.await {
            Ok(Err(error)) => Err(error.into()),
            _ => Ok(response),
        },
    }
}

/// That there is nothing to look at any more, in words.
fn gone(target: &CaptureTarget) -> String {
    let what = match target {
        CaptureTarget::Interface { container, interface, .. } => format!("interface {container}:{interface}"),
        CaptureTarget::Link { name, .. } => format!("link {name}"),
    };
    format!("the capture has ended early: {what} is not there any more")
}

/// Resolves when the client has hung up; shows it now and then that the server has not.
async fn hung_up(lines: &Lines) {
    loop {
        tokio::select! {
            () = lines.closed() => return,
            () = tokio::time::sleep(BEAT) => {
                if !lines.beat().await {
                    return;
                }
            }
        }
    }
}

struct Sink {
    lines: Lines,
    /// Told once, when frames are looked at.
    begun: Option<tokio::sync::oneshot::Sender<()>>,
    /// Frames that are still wanted.
    left: u64,
    frames: u64,
    /// Frames that were dropped, as far as the client was told.
    dropped: u64,
}

#[async_trait]
impl FrameSink for Sink {
    async fn began(&mut self) -> bool {
        if let Some(begun) = self.begun.take() {
            // Whoever waited for it has hung up otherwise, which shows at the next line.
            let _ = begun.send(());
        }
        self.left > 0 && self.lines.send(&CaptureLine::Began { capturing: true }).await
    }

    async fn frame(&mut self, frame: Frame) -> bool {
        if !self.lines.send(&CaptureLine::frame(&frame, self.dropped)).await {
            return false;
        }
        self.dropped = frame.dropped;
        self.frames += 1;
        self.left -= 1;
        self.left > 0
    }
}
