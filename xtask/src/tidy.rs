//! Rules on files: length, the page at the top, words that do not belong in them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

/// No file of Rust is longer, in lines.
pub const MAX_LINES: usize = 400;

/// Directories that hold nothing of ours.
const SKIPPED: &[&str] = &["target", ".git", "artifacts", "coverage"];

/// Extensions of the texts that are looked at.
const TEXTS: &[&str] = &["rs", "md", "toml", "yml", "yaml", "sh", "json", "snap", "txt", "html"];

/// Crates below the binary: their sources keep to [`CALLS`].
const QUIET: &[&str] = &[
    "api",
    "descriptors",
    "driver-docker",
    "driver-linux",
    "engine",
    "lifecycle",
    "names",
    "netplan",
    "packaging",
    "pidfd",
    "placement",
    "runtime",
    "topology",
];

/// What breaks the rules in the files below `root`.
///
/// # Errors
/// When files cannot be read.
pub fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for file in files(root)? {
        let name = file.strip_prefix(root).unwrap_or(&file).to_path_buf();
        let Ok(text) = fs::read_to_string(&file) else { continue };
        findings.extend(check_text(&name, &text));
    }
    Ok(findings)
}

/// All texts below `root`, in the order of their paths.
fn files(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let entries =
            fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
                directories.push(path);
            } else if kind.is_file() && is_text(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// By its extension; scripts have none.
fn is_text(path: &Path) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) => TEXTS.contains(&extension),
        None => fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"#!")),
    }
}

/// What breaks the rules in one file; `name` is its path from the root.
#[must_use]
pub fn check_text(name: &Path, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let shown = name.display();
    if name.extension().is_some_and(|extension| extension == "rs") {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            findings.push(format!("{shown}: {lines} lines; split it: at most {MAX_LINES}"));
        }
        if !text.starts_with("//!") {
            findings.push(format!("{shown}:1: begins without `//!`: say what the file is for"));
        }
    }
    for (number, line) in (1..).zip(text.lines()) {
        for (word, why) in forbidden() {
            if line.contains(&word) {
                findings.push(format!("{shown}:{number}: `{word}`: {why}"));
            }
        }
        // A note to come back needs a name to ask: TODO(name).
        for note in [concat!("TO", "DO"), concat!("FIX", "ME")] {
            let nameless = |rest: &str| !rest.starts_with('(') && !rest.starts_with(char::is_alphanumeric);
            let mut rests = line.split(note).skip(1);
            if rests.any(nameless) {
                findings.push(format!("{shown}:{number}: {note} without a name behind it"));
            }
        }
    }
    if is_quiet_source(name) {
        findings.extend(check_quiet(name, text));
    }
    findings
}

/// Words that stand in no file, put together so that this file does not hold them either.
fn forbidden() -> [(String, &'static str); 4] {
    [
        ("/wo".to_owned() + "rk/", "a path of one machine: make it relative"),
        ("/home".to_owned() + "/", "a path of one machine: make it relative"),
        ("[al".to_owned() + "low(", "use #[expect(lint, reason = \"...\")]: it ends with its cause"),
        (
            "#[ig".to_owned() + "nore",
            "run the test, or say at run time why it cannot: a skipped test is forgotten",
        ),
    ]
}

fn is_quiet_source(name: &Path) -> bool {
    let mut parts = name.iter().filter_map(|part| part.to_str());
    let quiet = parts.next() == Some("crates")
        && parts.next().is_some_and(|krate| QUIET.contains(&krate))
        && parts.next() == Some("src");
    let is_test = name.iter().any(|part| part == "tests" || part == "tests.rs");
    quiet && !is_test && name.extension().is_some_and(|extension| extension == "rs")
}

/// Calls that have one place or none below the binary.
const CALLS: &[(&str, &str)] = &[
    ("env::var", "settings are handed in"),
    ("env::args", "settings are handed in"),
    ("println!", "libraries return or log"),
    ("process::exit", "libraries return"),
    ("process::Command", "no other program is run: ask the engine or the kernel itself"),
    ("Runtime::new", "the program starts the runtime"),
    ("#[tokio::main", "the program starts the runtime"),
    ("thread::sleep", "wait for what is to happen, with a bound"),
    ("SystemTime::now", "the clock is handed in (llcm_lifecycle::Clock)"),
];

/// The places that may.
const EXCEPT: &[(&str, &str)] = &[
    ("crates/lifecycle/src/clock.rs", "SystemTime::now"),
    // The time stamps of frames are the kernel's, and so is the time until which they are wanted.
    ("crates/driver-linux/src/traffic.rs", "SystemTime::now"),
    // Docker is asked for its events by the time.
    ("crates/driver-docker/src/watch.rs", "SystemTime::now"),
    // Nobody tells when another process gives up its lock of a file, and the wait for that has no bound.
    ("crates/lifecycle/src/patience.rs", "thread::sleep"),
    // The engine runs what containers run, and the program itself as its helper.
    ("crates/engine/src/program.rs", "process::Command"),
];

fn check_quiet(name: &Path, text: &str) -> Vec<String> {
    let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    let code = (1..).zip(body.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"));
    let allowed = |call: &str| EXCEPT.iter().any(|(file, it)| name == Path::new(file) && *it == call);
    let found = code.flat_map(|(number, line)| {
        let calls = CALLS.iter().filter(move |(call, _)| line.contains(call) && !allowed(call));
        calls.map(move |(call, why)| format!("{}:{number}: `{call}`: {why}", name.display()))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(name: &str, text: &str) -> Vec<String> {
        check_text(Path::new(name), text)
    }

    #[test]
    fn files_of_rust_are_short_and_begin_with_their_page() {
        assert!(findings("a.rs", "//! Page.\n").is_empty());
        assert!(findings("a.rs", "use x;\n")[0].contains("begins without"));
        let long = "//! Page.\n".to_owned() + &"\n".repeat(MAX_LINES);
        assert!(findings("a.rs", &long)[0].contains("401 lines"));
        assert!(findings("a.md", &long).is_empty());
    }

    #[test]
    fn words_that_do_not_belong_are_found() {
        assert!(findings("a.md", &format!("see {}x", forbidden()[0].0))[0].contains("a.md:1"));
        let note = concat!("TO", "DO");
        assert!(findings("a.md", &format!("\n{note}: later"))[0].contains("a.md:2"));
        assert!(findings("a.md", &format!("{note}(ann): later")).is_empty());
        assert!(findings("a.rs", &format!("//! P\n{}dead_code)]", forbidden()[2].0)).len() == 1);
    }

    #[test]
    fn libraries_are_quiet() {
        let text = "//! P\nfn f() { println!(\"x\") }\n";
        assert_eq!(findings("crates/names/src/a.rs", text).len(), 1);
        assert!(findings("crates/names/tests/a.rs", text).is_empty());
        assert!(findings("bins/llcm/src/a.rs", text).is_empty());
        let tests = "//! P\n#[cfg(test)]\nmod tests {\n    fn f() { println!(\"x\") }\n}\n";
        assert!(findings("crates/names/src/a.rs", tests).is_empty());
    }
}
