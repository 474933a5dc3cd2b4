//! From what was found to rows, and to what a server would do. Pure.

use serde::Serialize;

use super::findings::{DataDir, Docker, Findings};
use super::powers::powers;
use crate::config::raw::Engine;

/// Whether something works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Yes,
    /// With something left out.
    Limited,
    No,
}

impl Verdict {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::Limited => "limited",
            Self::No => "no",
        }
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) key: String,
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) advice: Option<String>,
}

/// A data center, for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Served {
    pub(super) name: String,
    pub(super) engine: String,
    pub(super) verdict: Verdict,
    pub(super) reason: String,
}

/// What `llcm serve` would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Serve {
    pub(super) engine: &'static str,
    pub(super) possible: bool,
    /// In a sentence.
    pub(super) summary: String,
}

/// Everything that is told. The names of fields and keys are relied on by programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
    pub(super) datacenters: Vec<Served>,
    pub(super) serve: Serve,
}

impl Check {
    pub(super) fn new(key: impl Into<String>, verdict: Verdict, reason: impl Into<String>) -> Self {
        Self { key: key.into(), verdict, reason: reason.into(), advice: None }
    }

    pub(super) fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

/// Judges.
pub(super) fn report(found: &Findings) -> Report {
    let datacenters = served(found);
    let mut checks = vec![user(found), engine(found, Engine::Embedded)];
    if let Ok(embedded) = &found.embedded {
        checks.extend(powers(embedded));
    }
    checks.push(engine(found, Engine::Docker));
    checks.push(engine(found, Engine::Simulated));
    checks.extend(network(found));
    checks.push(topology(found, &datacenters));
    checks.extend(data_dir(found));
    checks.extend(images(found));
    let serve = serve(found, &checks);
    Report { checks, datacenters, serve }
}

fn user(found: &Findings) -> Check {
    if found.is_root {
        return Check::new("user", Verdict::Yes, "root");
    }
    let reason =
        format!("an ordinary user, number {}: containers run in namespaces of the user's own", found.user);
    Check::new("user", Verdict::Limited, reason).advise("root can do more of what is limited below")
}

/// Whether a server could run containers, and links between them, with an engine.
fn engine(found: &Findings, engine: Engine) -> Check {
    let key = format!("engine.{}", engine.word());
    let no = |reason: String| Check::new(key.as_str(), Verdict::No, reason);
    let unlinked = |error: &String| no(format!("its containers could not be linked: {error}"));
    match engine {
        Engine::Embedded => match (&found.embedded, &found.data_dir.engine, &found.image_sources, &found.network) {
            (Err(error), ..) if found.is_root => {
                no(error.clone()).advise("--engine docker and --engine simulated are the others")
            }
            (Err(error), ..) => no(error.clone()).advise("run it as root, or with --engine simulated"),
            (_, Err(error), ..) => no(error.clone()).advise("give another directory with --data-dir"),
            (_, _, Err(error), _) => no(format!("the settings for images are wrong: {error}"))
                .advise("correct --docker-host (DOCKER_HOST) or --registry-config"),
            (.., Err(error)) => unlinked(error),
            (Ok(embedded), ..) => {
                let missing: Vec<_> = powers(embedded).into_iter().filter(|row| row.verdict != Verdict::Yes).collect();
                if missing.is_empty() {
                    return Check::new(key, Verdict::Yes, "containers and links work, with everything");
                }
                let names: Vec<_> = missing.iter().filter_map(|row| row.key.strip_prefix("embedded.")).collect();
                let reason = format!("containers and links work; limited: {}", names.join(", "));
                Check::new(key, Verdict::Limited, reason)
            }
        },
        Engine::Docker => match (&found.docker, &found.network) {
            (Err(error), _) if found.is_root => no(error.clone())
                .advise("start Docker, or name its socket with --docker-host; --engine embedded needs nothing installed"),
            (Err(error), _) => no(format!("without root there are no links to its containers; and {error}"))
                .advise("--engine embedded needs neither"),
            (Ok(docker), _) if !found.is_root => {
                no(format!("{} answers, but without root there are no links to its containers", shown(docker)))
                    .advise("run it as root, or with --engine embedded, which can take Docker's images")
            }
            (Ok(_), Err(error)) => unlinked(error),
            (Ok(docker), Ok(_)) if docker.warnings.is_empty() => Check::new(key, Verdict::Yes, shown(docker)),
            (Ok(docker), Ok(_)) => {
                let reason = format!("{}, which warns: {}", shown(docker), docker.warnings.join("; "));
                Check::new(key, Verdict::Limited, reason)
            }
        },
        Engine::Simulated => match &found.simulated {
            Ok(()) => Check::new(key, Verdict::Yes, "needs nothing; runs nothing either"),
            Err(error) => no(error.clone()).advise("correct --simulated-script"),
        },
    }
}

fn shown(docker: &Docker) -> String {
    format!("{} {}", docker.name, docker.version)
}

/// The emulated network, and each property of its links.
fn network(found: &Findings) -> Vec<Check> {
    let network = match &found.network {
        Err(reason) => {
            let advice = if found.is_root {
                "load the kernel's module that is named; --engine simulated needs nothing"
            } else {
                "run it as root, or with --engine simulated"
            };
            return vec![Check::new("network", Verdict::No, reason.clone()).advise(advice)];
        }
        Ok(network) => network,
    };
    let reason = "the kernel has all that data centers, links and segments need";
    let mut rows = vec![Check::new("network", Verdict::Yes, reason)];
    for (name, property) in &network.properties {
        let key = format!("network.{name}");
        rows.push(match property {
            Ok(means) => Check::new(key, Verdict::Yes, format!("as the topology says, by {means}")),
            Err(reason) => Check::new(key, Verdict::No, reason.clone())
                .advise("a topology that asks for it needs --best-effort, which leaves it out"),
        });
    }
    rows
}

/// The data centers with what their engines are worth here.
fn served(found: &Findings) -> Vec<Served> {
    let judge = |place: &super::findings::Place| {
        let (verdict, reason) = match &place.engine {
            Err(error) => (Verdict::No, error.clone()),
            Ok(named) => {
                let row = engine(found, *named);
                (row.verdict, row.reason)
            }
        };
        Served { name: place.name.clone(), engine: place.engine_name.clone(), verdict, reason }
    };
    found.datacenters.iter().map(judge).collect()
}

fn topology(found: &Findings, datacenters: &[Served]) -> Check {
    let worst = datacenters.iter().map(|it| it.verdict).max().unwrap_or(Verdict::Yes);
    let unserved = datacenters.iter().filter(|it| it.verdict == Verdict::No);
    let unserved: Vec<_> = unserved
        .map(|it| format!("{} with engine {} cannot be served: {}", it.name, it.engine, it.reason))
        .collect();
    if !unserved.is_empty() {
        return Check::new("topology", Verdict::No, unserved.join("; "))
            .advise("name an engine that is possible for these data centers, or leave it out");
    }
    // The simulated network is told everything and carries nothing.
    let vain = match &found.network {
        Ok(network) if found.engine != Engine::Simulated => network.not_emulated.as_slice(),
        _ => &[],
    };
    let size = format!("{}, {}", count(datacenters.len(), "data center"), count(found.links, "link"));
    match (vain, found.best_effort) {
        ([], _) if worst == Verdict::Yes => {
            Check::new("topology", worst, format!("{size}, all of which work"))
        }
        ([], _) => {
            Check::new("topology", worst, format!("{size}, all of which work, limited as their engines are"))
        }
        (vain, true) => {
            Check::new("topology", Verdict::Limited, format!("{size}; left out: {}", vain.join("; ")))
        }
        (vain, false) => Check::new("topology", Verdict::No, format!("not emulated: {}", vain.join("; ")))
            .advise("--best-effort goes on without"),
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn data_dir(found: &Findings) -> Vec<Check> {
    let data = &found.data_dir;
    let path = data.path.display();
    let directory = match (&data.usable, &data.installation) {
        (Err(reason), _) => Check::new("data-directory", Verdict::No, format!("{path}: {reason}"))
            .advise("give another one with --data-dir, or run it as the user that owns this one"),
        (Ok(()), Some(id)) => {
            Check::new("data-directory", Verdict::Yes, format!("{path}, installation {id}"))
        }
        (Ok(()), None) => Check::new("data-directory", Verdict::Yes, format!("{path}, not used yet")),
    };
    let server = if data.has_server {
        Check::new("data-directory.server", Verdict::Limited, "a server has it now")
            .advise("another server needs another --data-dir and --listen")
    } else {
        Check::new("data-directory.server", Verdict::Yes, "no server has it now")
    };
    vec![directory, server, leftovers(data, found.docker.as_ref().map_or(0, |docker| docker.containers))]
}

/// What is there of earlier runs that no server looks after.
fn leftovers(data: &DataDir, in_docker: usize) -> Check {
    let key = "data-directory.leftovers";
    let seen = data.engine.as_ref().copied().unwrap_or_default();
    let mut things = Vec::new();
    if seen.containers > 0 {
        let containers = count(seen.containers, "container");
        things.push(format!("{containers} of the embedded engine, {} running", seen.running));
    }
    if seen.namespaces {
        things.push("namespaces, held by a process that waits for the next server".to_owned());
    }
    if in_docker > 0 {
        things.push(format!("{} in Docker", count(in_docker, "container")));
    }
    if !data.datacenters.is_empty() {
        things.push(format!("network namespaces of data centers {}", data.datacenters.join(", ")));
    }
    if things.is_empty() {
        return Check::new(key, Verdict::Yes, "nothing is left of earlier runs");
    }
    let things = things.join("; ");
    if data.has_server {
        return Check::new(key, Verdict::Yes, format!("the server that runs looks after {things}"));
    }
    Check::new(key, Verdict::Limited, format!("left of an earlier run: {things}"))
        .advise("the next `llcm serve` takes them over; `llcm down --all` then takes them down")
}

fn images(found: &Findings) -> [Check; 2] {
    let store = match &found.data_dir.engine {
        Ok(seen) => {
            let reason =
                format!("{} in the embedded engine's store, and `host`, which is built in", seen.images);
            Check::new("images.store", Verdict::Yes, reason)
        }
        Err(reason) => Check::new("images.store", Verdict::No, reason.clone()),
    };
    let docker = match &found.docker {
        Ok(docker) => {
            Check::new("images.docker", Verdict::Yes, format!("those of {} can be taken", shown(docker)))
        }
        Err(reason) => Check::new("images.docker", Verdict::No, reason.clone())
            .advise("images come from registries, or from files by `llcm image load`"),
    };
    [store, docker]
}

/// What a server would do: it needs its engine, all data centers and the directory.
fn serve(found: &Findings, checks: &[Check]) -> Serve {
    let word = found.engine.word();
    let own = format!("engine.{word}");
    let needed = [own.as_str(), "topology", "data-directory"];
    let mut obstacles: Vec<_> = checks
        .iter()
        .filter(|row| needed.contains(&row.key.as_str()) && row.verdict == Verdict::No)
        .collect();
    // A data center that has the server's own engine says nothing new.
    if obstacles.first().is_some_and(|row| row.key == own) {
        obstacles
            .retain(|row| row.key != "topology" || found.datacenters.iter().any(|it| it.engine_name != word));
    }
    let possible = obstacles.is_empty();
    let summary = if possible {
        let user = if found.is_root { "as root" } else { "without root" };
        let path = found.data_dir.path.display();
        let server =
            if found.data_dir.has_server { "; not now, for another server has that directory" } else { "" };
        format!(
            "`llcm serve` would run containers with engine {word}, {user}, and keep its state in {path}{server}."
        )
    } else {
        let reasons = obstacles.iter().map(|row| match &row.advice {
            Some(advice) => format!("{}: {}; {advice}", row.key, row.reason),
            None => format!("{}: {}", row.key, row.reason),
        });
        let reasons: Vec<_> = reasons.collect();
        format!("`llcm serve` with engine {word} would not start. {}.", reasons.join(". "))
    };
    Serve { engine: word, possible, summary }
}
