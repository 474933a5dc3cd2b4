//! The settings of service access points.

use std::path::Path;
use std::str::FromStr;

use anyhow::{Context as _, bail};
use llcm_descriptors::Vnfd;
use llcm_lifecycle::settings::{SapKind, SapSettings};

use super::raw::RawConfig;
use super::values::word;

/// What one connection point becomes: `input=external`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SapMapping {
    point: String,
    kind: SapKind,
}

impl FromStr for SapMapping {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (point, kind) = text
            .split_once('=')
            .filter(|(point, _)| !point.is_empty())
            .ok_or("expected a connection point and what it becomes (input=external)")?;
        let kind = word(kind.to_owned())
            .map_err(|_| format!("`{kind}` is no kind: external, internal or management"))?;
        Ok(Self { point: point.to_owned(), kind })
    }
}

/// The settings that `raw` gives.
///
/// # Errors
/// When the file with the VNFD cannot be read, or is none that can be started.
pub(crate) fn settings(raw: &RawConfig) -> anyhow::Result<SapSettings> {
    let mapped = raw.sap.iter().flatten();
    Ok(SapSettings {
        deploy: raw.deploy_saps.unwrap_or_default(),
        image: raw.sap_image.clone(),
        vnfd: raw.sap_vnfd.as_deref().map(read_vnfd).transpose()?,
        kinds: mapped.map(|mapping| (mapping.point.clone(), mapping.kind)).collect(),
        nat: raw.sap_nat.unwrap_or_default(),
    })
}

fn read_vnfd(path: &Path) -> anyhow::Result<Vnfd> {
    let name = path.display().to_string();
    let bytes =
        std::fs::read(path).with_context(|| format!("cannot read the VNFD of access points {name}"))?;
    let (vnfd, findings) = llcm_descriptors::load_vnfd(&name, &bytes);
    match vnfd {
        Some(vnfd) if !vnfd.units.is_empty() => Ok(vnfd),
        Some(_) => bail!("the VNFD of access points {name} has no unit that can be started"),
        None => {
            let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
            bail!("the VNFD of access points has errors:\n  {}", findings.join("\n  "))
        }
    }
}
