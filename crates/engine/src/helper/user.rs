//! Users and groups by name, as the container's own `/etc/passwd` and `/etc/group` have them.

use std::fs;

use rustix::fs::{Gid, Uid};

use crate::error::EngineError;

/// Whom a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    /// Supplementary groups.
    pub(crate) groups: Vec<Gid>,
    pub(crate) home: String,
}

/// Looks `user[:group]` up, names or numbers; empty means root.
pub(super) fn look_up(text: &str) -> Result<Identity, EngineError> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    look_up_in(text, &read("/etc/passwd"), &read("/etc/group"))
}

/// As a container with these two files.
pub(crate) fn look_up_in(text: &str, passwd: &str, group: &str) -> Result<Identity, EngineError> {
    let (user, wanted_group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
    let user = if user.is_empty() { "0" } else { user };
    // name:password:uid:gid:text:home:shell (passwd(5))
    let line = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| {
        fields.first() == Some(&user) || (number(user).is_some() && fields.get(2) == Some(&user))
    });
    let field = |index: usize| line.as_ref().and_then(|fields| fields.get(index).copied());
    let unknown = || EngineError::Invalid(format!("there is no user `{user}` in the image: give a number"));
    let uid = number(user).or_else(|| field(2).and_then(number)).ok_or_else(unknown)?;
    let name = field(0).unwrap_or(user);
    let gid = match wanted_group {
        Some(wanted) => group_id(wanted, group)?,
        None => field(3).and_then(number).unwrap_or(0),
    };
    // name:password:gid:member,member (group(5))
    let groups = group.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(|fields| {
        wanted_group.is_none() && fields.get(3).is_some_and(|members| members.split(',').any(|it| it == name))
    });
    let groups = groups.filter_map(|fields| fields.get(2).copied().and_then(number)).map(Gid::from_raw);
    Ok(Identity {
        uid: Uid::from_raw(uid),
        gid: Gid::from_raw(gid),
        groups: groups.collect(),
        home: field(5).filter(|home| !home.is_empty()).unwrap_or("/").to_owned(),
    })
}

fn group_id(wanted: &str, group: &str) -> Result<u32, EngineError> {
    let named = group.lines().find_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        (fields.first() == Some(&wanted)).then(|| fields.get(2).copied().and_then(number)).flatten()
    });
    number(wanted).or(named).ok_or_else(|| {
        EngineError::Invalid(format!("there is no group `{wanted}` in the image: give a number"))
    })
}

/// The largest number means "unchanged" to the kernel and names nobody.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:100::/srv/ann:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nusers:x:100:\nwheel:x:10:root,ann\n";

    #[test]
    fn names_and_numbers_are_found() {
        let ann = look_up_in("ann", PASSWD, GROUP).unwrap();
        assert_eq!((ann.uid.as_raw(), ann.gid.as_raw(), ann.home.as_str()), (1000, 100, "/srv/ann"));
        assert_eq!(ann.groups, [Gid::from_raw(10)]);
        assert_eq!(look_up_in("1000", PASSWD, GROUP).unwrap(), ann);
        assert_eq!(look_up_in("", PASSWD, GROUP).unwrap().home, "/root");
        let other = look_up_in("7:wheel", PASSWD, GROUP).unwrap();
        assert_eq!((other.uid.as_raw(), other.gid.as_raw(), other.groups.len()), (7, 10, 0));
        assert!(look_up_in("bob", PASSWD, GROUP).is_err());
        assert!(look_up_in("ann:nobody", PASSWD, GROUP).is_err());
        assert!(look_up_in("4294967295", PASSWD, GROUP).is_err());
    }
}
