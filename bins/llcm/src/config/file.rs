//! The configuration file, and `--set KEY=VALUE`: the same keys, read by the same parsers as the flags.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::builder::Resettable;
use clap::error::ContextKind;
use clap::{Arg, Args as _, Command, FromArgMatches as _};
use serde_json::Value;

use super::raw::RawConfig;

/// Reads a configuration file. Without a name: the usual one, when it exists.
///
/// # Errors
/// When it cannot be read, is no YAML map, or has unknown keys or bad values; the key is named.
pub(crate) fn read(path: Option<&Path>) -> anyhow::Result<RawConfig> {
    let usual;
    let path = match path {
        Some(path) => path,
        None => match usual_path() {
            Some(found) => {
                usual = found;
                &usual
            }
            None => return Ok(RawConfig::default()),
        },
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the configuration file {}", path.display()))?;
    parse(&text).with_context(|| format!("the configuration file {}", path.display()))
}

/// `$XDG_CONFIG_HOME/llcm/config.yml` (not for root), then `/etc/llcm/config.yml`: the first that exists.
fn usual_path() -> Option<PathBuf> {
    let mut places = Vec::new();
    if !rustix::process::geteuid().is_root() {
        let own = std::env::var_os("XDG_CONFIG_HOME")
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
            .or_else(|| std::env::home_dir().map(|home| home.join(".config")));
        places.extend(own.map(|directory| directory.join("llcm/config.yml")));
    }
    places.push(PathBuf::from("/etc/llcm/config.yml"));
    places.into_iter().find(|place| place.is_file())
}

/// Parses the text of a configuration file.
pub(crate) fn parse(text: &str) -> anyhow::Result<RawConfig> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(RawConfig::default());
    }
    let map: BTreeMap<String, Value> = serde_saphyr::from_str(text)
        .map_err(|error| anyhow!("{}", error.without_snippet()))
        .context("no YAML map of settings")?;
    let mut arguments = Vec::new();
    for (key, value) in &map {
        let words = match value {
            Value::Object(section) if SECTIONS.contains(&key.as_str()) => section_words(section),
            other => words(other),
        };
        arguments.push((key.clone(), words.with_context(|| format!("`{key}`"))?));
    }
    from_pairs(&arguments)
}

/// The keys that a map may stand under: `sonata: {force_pull: true}` is `--sonata force_pull=true`.
const SECTIONS: [&str; 2] = ["tango", "sonata"];

/// The settings of a section as the words of its flag.
fn section_words(section: &serde_json::Map<String, Value>) -> anyhow::Result<Vec<String>> {
    let mut all = Vec::new();
    for (key, value) in section {
        let said = words(value).with_context(|| format!("`{key}`"))?;
        all.extend(said.iter().map(|word| format!("{key}={word}")));
    }
    Ok(all)
}

/// Parses `KEY=VALUE` pairs; lists are separated by commas. `SECTION.KEY=VALUE` is a setting of a dialect's services.
pub(crate) fn from_settings(pairs: &[String]) -> anyhow::Result<RawConfig> {
    let mut arguments = Vec::new();
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=') else {
            bail!("--set takes KEY=VALUE, not `{pair}`");
        };
        let (key, value) = match key.trim().split_once('.') {
            Some((section, key)) => (section, format!("{key}={value}")),
            None => (key.trim(), value.to_owned()),
        };
        arguments.push((key.to_owned(), vec![value]));
    }
    from_pairs(&arguments)
}

/// What a value is on the command line: one word each.
fn words(value: &Value) -> anyhow::Result<Vec<String>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Bool(flag) => Ok(vec![flag.to_string()]),
        Value::Number(number) => Ok(vec![number.to_string()]),
        // An empty list is said by one empty word: it is not the same as nothing said.
        Value::Array(items) if items.is_empty() => Ok(vec![String::new()]),
        Value::Array(items) => {
            let mut all = Vec::new();
            for item in items {
                match item {
                    Value::Array(_) | Value::Object(_) | Value::Null => bail!("expected a list of words"),
                    other => all.extend(words(other)?),
                }
            }
            Ok(all)
        }
        Value::Object(_) => bail!("expected a word, a number or a list, not a map"),
    }
}

fn from_pairs(pairs: &[(String, Vec<String>)]) -> anyhow::Result<RawConfig> {
    let command = table();
    let keys: Vec<&str> = command.get_arguments().map(|argument| argument.get_id().as_str()).collect();
    let mut argv = Vec::new();
    for (key, words) in pairs {
        if !keys.contains(&key.as_str()) {
            bail!("unknown key `{key}`{}", nearest(key, &keys));
        }
        argv.extend(words.iter().map(|word| format!("--{}={word}", key.replace('_', "-"))));
    }
    let matches = command.try_get_matches_from(argv).map_err(|error| explain(&error))?;
    Ok(RawConfig::from_arg_matches(&matches).map_err(|error| explain(&error))?.without_empty_words())
}

/// The settings as a command that looks at nothing but its arguments.
pub(crate) fn table() -> Command {
    let command = Command::new("settings").no_binary_name(true).disable_help_flag(true);
    RawConfig::augment_args(command).mut_args(|argument: Arg| argument.env(Resettable::Reset))
}

/// A bad value, told in the words of the file.
fn explain(error: &clap::Error) -> anyhow::Error {
    let text = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let flag = text(ContextKind::InvalidArg);
    let key =
        flag.trim_start_matches('-').split([' ', '=', '[']).next().unwrap_or_default().replace('-', "_");
    let value = text(ContextKind::InvalidValue);
    let possible = text(ContextKind::ValidValue);
    let reason = match error.source() {
        Some(source) => source.to_string(),
        None if !possible.is_empty() => format!("expected one of {possible}"),
        None if value.is_empty() => "expected one value".to_owned(),
        None => error.kind().to_string(),
    };
    if value.is_empty() { anyhow!("`{key}`: {reason}") } else { anyhow!("`{key}`: `{value}`: {reason}") }
}

/// A hint at the key that was probably meant.
fn nearest(key: &str, keys: &[&str]) -> String {
    let key = key.replace('-', "_");
    keys.iter()
        .map(|known| (strsim::damerau_levenshtein(&key, known), *known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 2)
        .map_or_else(
            || "; `llcm serve --help` lists all settings".to_owned(),
            |(_, known)| format!("; did you mean `{known}`?"),
        )
}

impl RawConfig {
    /// Lists without the empty word that an empty list is written as.
    pub(crate) fn without_empty_words(mut self) -> Self {
        let lists = [
            &mut self.allowed_hosts,
            &mut self.allowed_origins,
            &mut self.insecure_registries,
            &mut self.allowed_capabilities,
            &mut self.allowed_devices,
            &mut self.allowed_ipc_modes,
        ];
        for words in lists.into_iter().flatten() {
            words.retain(|word| !word.is_empty());
        }
        self
    }
}
