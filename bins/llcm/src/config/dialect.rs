//! Settings of one dialect's services: `KEY=VALUE`, with the server's keys and the server's parsers.

use std::str::FromStr;

use llcm_lifecycle::{DialectSettings, PlacementSettings};

use super::file;
use super::raw::RawConfig;

/// The settings that a dialect may have of its own.
pub(crate) const KEYS: &[&str] = &[
    "auto_delete",
    "auto_deploy",
    "bidirectional_chain",
    "build_images",
    "deploy_saps",
    "docker_management",
    "force_pull",
    "placement",
    "placement_file",
    "placement_seed",
];

/// One of [`KEYS`] with its value, which the server's setting of that name would take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DialectWord {
    key: String,
    value: String,
}

impl FromStr for DialectWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE (force_pull=true)")?;
        let (key, value) = (key.trim().to_owned(), value.trim().to_owned());
        if !KEYS.contains(&key.as_str()) {
            return Err(format!("no setting of a dialect: those are {}", KEYS.join(", ")));
        }
        let word = Self { key, value };
        file::from_settings(&[word.pair()]).map_err(|error| error.to_string())?;
        Ok(word)
    }
}

impl DialectWord {
    fn pair(&self) -> String {
        format!("{}={}", self.key, self.value)
    }
}

/// What is said in two places: key by key, `upper` goes before `lower`.
pub(crate) fn over(
    upper: Option<Vec<DialectWord>>,
    lower: Option<Vec<DialectWord>>,
) -> Option<Vec<DialectWord>> {
    match (upper, lower) {
        (Some(upper), Some(lower)) => {
            let left = lower.into_iter().filter(|below| upper.iter().all(|word| word.key != below.key));
            let mut words: Vec<_> = left.collect();
            words.extend(upper);
            Some(words)
        }
        (upper, lower) => upper.or(lower),
    }
}

/// What the words come to; `server`: how the server places units.
///
/// # Errors
/// When a key stands there twice, or a file that is named cannot be read.
pub(crate) fn settings(
    words: Option<&[DialectWord]>,
    server: &PlacementSettings,
) -> anyhow::Result<DialectSettings> {
    let pairs: Vec<String> = words.into_iter().flatten().map(DialectWord::pair).collect();
    let raw = file::from_settings(&pairs)?;
    let mut settings = DialectSettings::default();
    if raw.placement.is_some() || raw.placement_file.is_some() || raw.placement_seed.is_some() {
        settings.placement = Some(raw.placement_over(server.clone())?);
    }
    let RawConfig {
        bidirectional_chain,
        deploy_saps,
        docker_management,
        auto_deploy,
        auto_delete,
        build_images,
        force_pull,
        ..
    } = raw;
    Ok(DialectSettings {
        bidirectional_chain,
        deploy_saps,
        docker_management,
        auto_deploy,
        auto_delete,
        build_images,
        force_pull,
        ..settings
    })
}
