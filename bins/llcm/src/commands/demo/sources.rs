//! The package of `examples/demo-chain`, carried in the program.

use std::path::Path;

use anyhow::Context as _;

macro_rules! sources {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../../examples/demo-chain/", $path)))),+]
    };
}

/// Path within the package and content.
const SOURCES: &[(&str, &str)] = sources![
    "TOSCA-Metadata/NAPD.yaml",
    "Definitions/demo-chain-nsd.yml",
    "Definitions/client-vnfd.yml",
    "Definitions/relay-vnfd.yml",
    "Definitions/server-vnfd.yml",
];

/// Writes the sources into a directory, which is made.
pub(super) fn write(directory: &Path) -> anyhow::Result<()> {
    for (path, content) in SOURCES {
        let file = directory.join(path);
        let parent = file.parent().unwrap_or(directory);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&file, content))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
