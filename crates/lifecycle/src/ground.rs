//! The ground that instances stand on: the emulated data centers and links, and the drivers' own helpers.
//!
//! It exists while an instance does. [`prepare`] lays it before the first one is made; [`leave_if_unused`]
//! clears it after the last one has gone, so that an idle server has nothing on the host. Both are called
//! with nobody else deciding ([`Core::allocation`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use llcm_descriptors::{Diagnostic, Severity};
use llcm_runtime::{DriverError, NotEmulated};
use llcm_topology::{LinkEnd, LinkProperties, Topology};

use crate::core::Core;
use crate::engines;
use crate::error::{ErrorCode, LifecycleError};

/// Whether the network is there, and what it lacks.
#[derive(Debug, Default)]
pub(crate) struct Ground {
    prepared: AtomicBool,
    /// What the host cannot emulate of the links, as last told.
    not_emulated: Mutex<Vec<NotEmulated>>,
}

impl Ground {
    /// The network was prepared by whoever opened the drivers.
    pub(crate) fn prepared() -> Self {
        Self { prepared: AtomicBool::new(true), ..Self::default() }
    }

    pub(crate) fn is_prepared(&self) -> bool {
        self.prepared.load(Ordering::Acquire)
    }

    /// It is not known any more what there is: it is made anew before it is used.
    pub(crate) fn doubt(&self) {
        self.prepared.store(false, Ordering::Release);
    }

    /// It is there, and as it should be.
    pub(crate) fn trust(&self) {
        self.prepared.store(true, Ordering::Release);
    }

    pub(crate) fn not_emulated(&self) -> Vec<NotEmulated> {
        self.not_emulated.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes the data centers and links exist; where they cannot be made and nothing stands on them, what there is of
/// them goes again. The caller holds [`Core::allocation`].
pub(crate) async fn prepare(core: &Core) -> Result<(), LifecycleError> {
    if core.ground.is_prepared() {
        return Ok(());
    }
    let laid = lay(core, &core.topology.get()).await;
    if let Err(error) = laid.and_then(|not_emulated| accept(core, not_emulated)) {
        if !in_use(core) {
            clear(core).await.iter().for_each(|error| log::warn!("{error}"));
        }
        return Err(error);
    }
    core.ground.trust();
    Ok(())
}

/// Brings the network to a topology; what the host cannot emulate of it. That is an error unless the settings want the
/// best that can be done. The caller holds [`Core::allocation`].
pub(crate) async fn lay(core: &Core, topology: &Topology) -> Result<Vec<NotEmulated>, LifecycleError> {
    let report = core.parts.backend.network().prepare(topology).await?;
    check(core, &report.not_emulated)?;
    Ok(report.not_emulated)
}

/// Goes on with what the host cannot emulate, if the settings say so.
pub(crate) fn accept(core: &Core, not_emulated: Vec<NotEmulated>) -> Result<(), LifecycleError> {
    check(core, &not_emulated)?;
    *core.ground.not_emulated.lock().unwrap_or_else(PoisonError::into_inner) = not_emulated;
    Ok(())
}

fn check(core: &Core, not_emulated: &[NotEmulated]) -> Result<(), LifecycleError> {
    let Some(first) = not_emulated.first() else { return Ok(()) };
    if core.parts.settings.best_effort {
        return Ok(());
    }
    let more = match not_emulated.len() - 1 {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let message = format!(
        "this host cannot emulate the links as asked: {first}{more}; `llcm doctor` says what it can do, and a server with \
         --best-effort leaves out what it cannot"
    );
    Err(LifecycleError {
        others: not_emulated.iter().map(ToString::to_string).collect(),
        ..LifecycleError::new(ErrorCode::NotEmulated, message)
    })
}

/// What the network lacks, as warnings of what is made on it.
pub(crate) fn warnings(core: &Core) -> Vec<Diagnostic> {
    let warning = |what: NotEmulated| {
        Diagnostic::new(
            Severity::Warning,
            "not-emulated",
            "",
            "",
            format!("not emulated on this host: {what}"),
        )
        .hint("the emulated links are better than the topology says; see the setting `best_effort`")
    };
    core.ground.not_emulated().into_iter().map(warning).collect()
}

/// How links that have properties are emulated, by link and end, in words. The network is asked only if there are any.
pub(crate) async fn means(core: &Core) -> Result<BTreeMap<String, [String; 2]>, LifecycleError> {
    let topology = core.topology.get();
    let has_any = |end: &LinkEnd| {
        let LinkProperties { bandwidth_bps, delay_us, jitter_us, loss_ppm, .. } = end.egress;
        bandwidth_bps.is_some() || delay_us > 0 || jitter_us > 0 || loss_ppm > 0
    };
    let links = topology.links.iter().filter(|link| has_any(&link.a) || has_any(&link.b));
    let names: BTreeSet<&str> = links.map(|link| link.name.as_str()).collect();
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let views = core.parts.backend.network().links().await?;
    let named = views.into_iter().filter(|view| names.contains(view.name.as_str()));
    Ok(named.map(|view| (view.name, view.emulated_by)).collect())
}

pub(crate) fn in_use(core: &Core) -> bool {
    core.state().instances.values().any(|instance| instance.state().is_live())
}

/// Removes the data centers and links, and what the container drivers keep for the installation as a whole,
/// when no instance is left. What fails is tried again after the next instance.
pub(crate) async fn leave_if_unused(core: &Core) {
    // No instance can be planned meanwhile.
    let _allocation = core.allocation.lock().await;
    if in_use(core) {
        return;
    }
    for error in clear(core).await {
        log::warn!("{error}");
    }
}

/// Removes all of it, whatever stands on it; what failed.
pub(crate) async fn clear(core: &Core) -> Vec<DriverError> {
    let backend = &core.parts.backend;
    // Before the first await: what is interrupted half-way is not there.
    core.ground.doubt();
    let (network, containers) = tokio::join!(backend.network().teardown(), engines::cleanup(core));
    network.err().into_iter().chain(containers).collect()
}
