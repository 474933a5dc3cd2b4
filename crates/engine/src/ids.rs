//! Which users and groups there are in this user namespace (user_namespaces(7)).

use std::fs;
use std::io;

use rustix::fs::{Gid, Uid};

use crate::error::EngineError;

/// The numbers that mean somebody here, and whether a process may change its supplementary groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ids {
    users: Map,
    groups: Map,
    /// False where an ordinary user has made the namespace alone: giving a group up could give permissions.
    pub(crate) can_set_groups: bool,
}

/// Ranges: the first number and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Map(Vec<(u32, u32)>);

impl Map {
    /// A line is the first number here, the first one outside, and how many; all of them are 2^32 - 1.
    fn parse(text: &str) -> Self {
        let range = |line: &str| {
            let mut fields = line.split_whitespace().map(str::parse);
            let first = fields.next()?.ok()?;
            Some((first, fields.nth(1)?.ok()?))
        };
        Self(text.lines().filter_map(range).collect())
    }

    fn has(&self, id: u32) -> bool {
        self.0.iter().any(|(first, count)| id.checked_sub(*first).is_some_and(|above| above < *count))
    }

    fn is_whole(&self) -> bool {
        self.0 == [(0, u32::MAX)]
    }
}

impl Ids {
    /// Reads those of this process.
    pub(crate) fn read() -> io::Result<Self> {
        let read = |name: &str| match fs::read_to_string(format!("/proc/self/{name}")) {
            // A kernel without user namespaces: everybody is there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        };
        let map = |text: Option<String>| Map::parse(text.as_deref().unwrap_or("0 0 4294967295"));
        Ok(Self {
            users: map(read("uid_map")?),
            groups: map(read("gid_map")?),
            can_set_groups: read("setgroups")?.is_none_or(|it| it.trim() == "allow"),
        })
    }

    /// Whether all users and groups of the machine are there, so that nothing is different from the machine
    /// itself.
    pub(crate) fn are_whole(&self) -> bool {
        self.users.is_whole() && self.groups.is_whole() && self.can_set_groups
    }

    /// Whether there is somebody but root.
    pub(crate) fn has_others(&self) -> bool {
        self.users.has(1) && self.groups.has(1) && self.can_set_groups
    }

    /// Whether there is a group of this number.
    pub(crate) fn has_group(&self, group: u32) -> bool {
        self.groups.has(group)
    }

    /// Refuses a user and a group that are not there; `shown` is how the caller calls them.
    ///
    /// # Errors
    /// `Invalid` with what to do.
    pub(crate) fn check(&self, shown: &str, user: Uid, group: Gid) -> Result<(), EngineError> {
        if self.users.has(user.as_raw()) && self.groups.has(group.as_raw()) {
            return Ok(());
        }
        let (user, group) = (user.as_raw(), group.as_raw());
        Err(EngineError::Invalid(format!(
            "user `{shown}` ({user}:{group}) is not there without root: run the program as root, or give user `0:0`"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(users: &str, groups: &str, can_set_groups: bool) -> Ids {
        Ids { users: Map::parse(users), groups: Map::parse(groups), can_set_groups }
    }

    #[test]
    fn the_machines_own_map_has_everybody() {
        let whole = "         0          0 4294967295\n";
        assert!(ids(whole, whole, true).are_whole() && ids(whole, whole, true).has_others());
        ids(whole, whole, true).check("x", Uid::from_raw(1000), Gid::from_raw(7)).unwrap();
        assert!(!ids(whole, whole, false).are_whole());
    }

    #[test]
    fn a_map_of_one_has_root_alone() {
        let one = ids("         0       1000          1\n", "0 1000 1\n", false);
        assert!(!one.are_whole() && !one.has_others());
        one.check("", Uid::ROOT, Gid::ROOT).unwrap();
        let error = one.check("ann", Uid::from_raw(1000), Gid::ROOT).unwrap_err().to_string();
        assert!(error.contains("user `ann` (1000:0) is not there without root"), "{error}");
        assert!(one.check("0:5", Uid::ROOT, Gid::from_raw(5)).is_err());
    }

    #[test]
    fn a_map_with_ranges_has_those_in_them() {
        let text = "0 1000 1\n1 100000 65536\n";
        let mapped = ids(text, text, true);
        assert!(mapped.has_others() && !mapped.are_whole());
        mapped.check("nobody", Uid::from_raw(65534), Gid::from_raw(65536)).unwrap();
        assert!(mapped.check("x", Uid::from_raw(65537), Gid::ROOT).is_err());
    }
}
