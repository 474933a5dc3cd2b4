//! A schedule file -> its changes.

use std::sync::Arc;

use super::links::link_name;
use super::parts::{CHANGE, strict};
use super::{Loader, join};
use crate::finding::{Finding, Place};
use crate::schedule::{MAX_CHANGES, Origin, Schedule, ScheduledChange};
use crate::units::{LONGEST_US, time_us};
use crate::yaml::{Node, Value};

/// Reads a schedule.
///
/// ```yaml
/// name: bad evening            # for people; may be left out
/// changes:
///   - at: 0                    # after the beginning: us, ms, s, min, h
///     link: dc1-dc2
///     delay: 20ms              # what becomes different, as in a topology file
///     from: dc1                # of the direction that leaves dc1 only; else of both
///   - at: 2s
///     repeat: 10               # the changes below, so many times,
///     every: 1s                # begun so far apart
///     changes:                 # with their times after each beginning
///       - {at: 0, link: dc2-dc3, up: false}
///       - {at: 300ms, link: dc2-dc3, up: true}
/// ```
///
/// No schedule comes back when any finding is an error; all findings come back together.
#[must_use]
pub fn load_schedule(bytes: &[u8]) -> (Option<Schedule>, Vec<Finding>) {
    strict(bytes, Loader::schedule)
}

impl Loader {
    fn schedule(&mut self, root: &Node) -> Option<Schedule> {
        let fields = self.fields("", root, &["name", "changes"])?;
        let name = self.quantity("", &fields, "name", link_name);
        let Some(list) = fields.get("changes") else {
            self.error("changes", root, "there must be at least one change");
            return None;
        };
        let mut changes = Vec::new();
        let items = self.list("changes", list);
        for (position, item) in items.iter().enumerate() {
            self.scheduled(&format!("changes[{position}]"), item, &mut changes)?;
        }
        // What was written and could not be read has its own findings.
        if changes.is_empty() && !self.findings.failed() {
            self.error("changes", list, "there must be at least one change");
        }
        // Stable: those of one time stay in their order.
        changes.sort_by_key(|change: &ScheduledChange| change.at_us);
        Some(Schedule { name, changes })
    }

    /// A change, or changes that are repeated; `None` when there is no point in reading on.
    fn scheduled(&mut self, path: &str, node: &Node, into: &mut Vec<ScheduledChange>) -> Option<()> {
        if !node.has("repeat") {
            if let Some(change) = self.one_change(path, node) {
                return self.add_changes(path, node, [change], into);
            }
            return Some(());
        }
        let Some(fields) = self.fields(path, node, &["at", "repeat", "every", "changes"]) else {
            return Some(());
        };
        let missing = ["at", "repeat", "every", "changes"].into_iter().find(|key| !fields.contains_key(key));
        if let Some(key) = missing {
            self.error(path, node, format!("what is repeated needs the key `{key}`"));
            return Some(());
        }
        let times = |text: &str| {
            let number = text.parse().ok().filter(|times| (1..=MAX_CHANGES as u64).contains(times));
            number.ok_or("expected how many times, from 1 to 10000")
        };
        let at = self.quantity(path, &fields, "at", time_us);
        let repeat = self.quantity(path, &fields, "repeat", times);
        let every = self.quantity(path, &fields, "every", time_us);
        let mut round = Vec::new();
        let path_of_changes = join(path, "changes");
        if let Some(list) = fields.get("changes") {
            let items = self.list(&path_of_changes, list);
            if items.is_empty() && matches!(list.value, Value::List(_)) {
                self.error(&path_of_changes, list, "there must be at least one change");
            }
            for (position, item) in items.iter().enumerate() {
                let path = format!("{path_of_changes}[{position}]");
                if item.has("repeat") {
                    self.error(&path, item, "what is repeated cannot hold what is repeated");
                } else {
                    round.extend(self.one_change(&path, item));
                }
            }
        }
        let (Some(at), Some(repeat), Some(every)) = (at, repeat, every) else { return Some(()) };
        if round.iter().any(|change| change.at_us > every) {
            self.error(
                &path_of_changes,
                node,
                "a change comes later than the next round begins: see `every`",
            );
            return Some(());
        }
        let rounds = (0..repeat).map(|number| at.saturating_add(number.saturating_mul(every)));
        let all = rounds.flat_map(|begin| {
            round.iter().map(move |change| ScheduledChange {
                at_us: begin.saturating_add(change.at_us),
                ..change.clone()
            })
        });
        self.add_changes(path, node, all, into)
    }

    /// Takes changes in as long as the schedule stays within bounds.
    fn add_changes(
        &mut self,
        path: &str,
        node: &Node,
        changes: impl IntoIterator<Item = ScheduledChange>,
        into: &mut Vec<ScheduledChange>,
    ) -> Option<()> {
        for change in changes {
            if change.at_us > LONGEST_US {
                self.error(path, node, "a schedule lasts at most 24h");
                return None;
            }
            if into.len() >= MAX_CHANGES {
                self.error(path, node, "a schedule has at most 10000 changes, repetitions counted");
                return None;
            }
            into.push(change);
        }
        Some(())
    }

    fn one_change(&mut self, path: &str, node: &Node) -> Option<ScheduledChange> {
        let keys: Vec<&str> = ["at", "link"].into_iter().chain(CHANGE).collect();
        let fields = self.fields(path, node, &keys)?;
        for key in ["at", "link"] {
            if !fields.contains_key(key) {
                self.error(path, node, format!("the change needs the key `{key}`"));
            }
        }
        let at_us = self.quantity(path, &fields, "at", time_us);
        let link = self.quantity(path, &fields, "link", link_name);
        let change = self.link_change(path, &fields);
        let said = fields.keys().filter(|key| !matches!(**key, "at" | "link" | "from")).count();
        if said == 0 {
            self.error(path, node, "the change changes nothing: say `up: false`, or a property");
        }
        let Place { line, column } = node.place;
        let origin = Origin { path: Arc::from(path), line, column };
        Some(ScheduledChange { at_us: at_us?, link: Arc::from(link?), change, origin })
    }
}

#[cfg(test)]
mod tests;
