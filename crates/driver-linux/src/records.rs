//! What the kernel cannot be asked for: the specs of segments, chains and ports, one small file each.
//!
//! An E-Line inside one data center has no device of its own, and the kernel knows no connection points. So
//! each spec is kept as a file in the run directory, whose life is that of the kernel's objects (it is empty
//! after a reboot). A file is written to a second name and renamed: it is there wholly or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use llcm_names::{DcName, Owner, PortId, SegmentId};
use llcm_runtime::{ChainSpec, DriverResult, PortSpec, SegmentSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Context;

/// The directories of the records, in an installation's.
pub(crate) const PARTS: [&str; 4] = ["segments", "chains", "ports", "incomplete"];

/// The specs of all segments, chains and ports of an installation.
#[derive(Debug)]
pub(crate) struct Records {
    dir: PathBuf,
    segments: BTreeMap<SegmentId, SegmentSpec>,
    chains: BTreeMap<SegmentId, ChainSpec>,
    ports: BTreeMap<PortId, PortSpec>,
    incomplete: BTreeSet<DcName>,
}

impl Records {
    /// Reads the records of a directory, which is made when it is missing.
    pub(crate) fn load(dir: &Path) -> DriverResult<Self> {
        let shown = dir.display().to_string();
        for part in PARTS {
            fs::create_dir_all(dir.join(part)).during("make record directory", &shown)?;
        }
        let segments: Vec<SegmentSpec> = read_all(&dir.join("segments")).during("read records in", &shown)?;
        let chains: Vec<ChainSpec> = read_all(&dir.join("chains")).during("read records in", &shown)?;
        let ports: Vec<PortSpec> = read_all(&dir.join("ports")).during("read records in", &shown)?;
        let incomplete: Vec<DcName> = read_all(&dir.join("incomplete")).during("read records in", &shown)?;
        Ok(Self {
            dir: dir.to_owned(),
            segments: segments.into_iter().map(|spec| (spec.id, spec)).collect(),
            chains: chains.into_iter().map(|spec| (spec.id, spec)).collect(),
            ports: ports.into_iter().map(|spec| (spec.id, spec)).collect(),
            incomplete: incomplete.into_iter().collect(),
        })
    }

    /// All segments.
    pub(crate) fn segments(&self) -> &BTreeMap<SegmentId, SegmentSpec> {
        &self.segments
    }

    /// All chains.
    pub(crate) fn chains(&self) -> &BTreeMap<SegmentId, ChainSpec> {
        &self.chains
    }

    /// All ports that were attached and not yet detached.
    pub(crate) fn ports(&self) -> &BTreeMap<PortId, PortSpec> {
        &self.ports
    }

    /// Data centers that are made anew, or were, while what recorded segments and chains have there was not yet.
    pub(crate) fn incomplete(&self) -> &BTreeSet<DcName> {
        &self.incomplete
    }

    /// A data center is about to be made anew. Written down only where there is something that it can lack.
    pub(crate) fn put_incomplete(&mut self, name: &DcName) -> DriverResult<()> {
        if !self.segments.is_empty() || !self.chains.is_empty() {
            write(&self.incomplete_file(name), name).during("write record of data center", name.as_str())?;
        }
        self.incomplete.insert(name.clone());
        Ok(())
    }

    /// No data center lacks anything any more.
    pub(crate) fn all_complete(&mut self) -> DriverResult<()> {
        while let Some(name) = self.incomplete.first() {
            remove(&self.incomplete_file(name)).during("remove record of data center", name.as_str())?;
            self.incomplete.pop_first();
        }
        Ok(())
    }

    /// The data centers that an instance has ends or ports in.
    pub(crate) fn sites_of(&self, owner: &Owner) -> BTreeSet<DcName> {
        let segments = self.segments.values().filter(|spec| spec.owner == *owner);
        let ends = segments.flat_map(|spec| &spec.ends).map(|end| &end.datacenter);
        let chains = self.chains.values().filter(|spec| spec.owner == *owner);
        let chained = chains.flat_map(|spec| [&spec.source.datacenter, &spec.destination.datacenter]);
        let ports = self.ports.values().filter(|spec| spec.owner == *owner).map(|spec| &spec.datacenter);
        ends.chain(chained).chain(ports).cloned().collect()
    }

    /// Keeps a segment.
    pub(crate) fn put_segment(&mut self, spec: &SegmentSpec) -> DriverResult<()> {
        write(&self.segment_file(spec.id), spec).during("write record of segment", &spec.id.to_string())?;
        self.segments.insert(spec.id, spec.clone());
        Ok(())
    }

    /// Keeps a chain.
    pub(crate) fn put_chain(&mut self, spec: &ChainSpec) -> DriverResult<()> {
        write(&self.chain_file(spec.id), spec).during("write record of chain", &spec.id.to_string())?;
        self.chains.insert(spec.id, spec.clone());
        Ok(())
    }

    /// Keeps a port.
    pub(crate) fn put_port(&mut self, spec: &PortSpec) -> DriverResult<()> {
        write(&self.port_file(spec.id), spec).during("write record of port", &spec.id.to_string())?;
        self.ports.insert(spec.id, spec.clone());
        Ok(())
    }

    /// Forgets a segment.
    pub(crate) fn remove_segment(&mut self, id: SegmentId) -> DriverResult<()> {
        remove(&self.segment_file(id)).during("remove record of segment", &id.to_string())?;
        self.segments.remove(&id);
        Ok(())
    }

    /// Forgets a chain.
    pub(crate) fn remove_chain(&mut self, id: SegmentId) -> DriverResult<()> {
        remove(&self.chain_file(id)).during("remove record of chain", &id.to_string())?;
        self.chains.remove(&id);
        Ok(())
    }

    /// Forgets a port.
    pub(crate) fn remove_port(&mut self, id: PortId) -> DriverResult<()> {
        remove(&self.port_file(id)).during("remove record of port", &id.to_string())?;
        self.ports.remove(&id);
        Ok(())
    }

    /// Forgets all that an instance has.
    pub(crate) fn remove_owner(&mut self, owner: &Owner) -> DriverResult<()> {
        self.remove_where(|holder| holder == owner, |spec| spec.owner == *owner)
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) -> DriverResult<()> {
        self.all_complete()?;
        self.remove_where(|_| true, |_| true)
    }

    /// Forgets the segments and chains of owners and the ports for which the conditions hold.
    pub(crate) fn remove_where(
        &mut self,
        links: impl Fn(&Owner) -> bool,
        port: impl Fn(&PortSpec) -> bool,
    ) -> DriverResult<()> {
        let ports: Vec<PortId> = self.ports.values().filter(|spec| port(spec)).map(|spec| spec.id).collect();
        let segments: Vec<SegmentId> =
            self.segments.values().filter(|spec| links(&spec.owner)).map(|spec| spec.id).collect();
        let chains: Vec<SegmentId> =
            self.chains.values().filter(|spec| links(&spec.owner)).map(|spec| spec.id).collect();
        ports.into_iter().try_for_each(|id| self.remove_port(id))?;
        chains.into_iter().try_for_each(|id| self.remove_chain(id))?;
        segments.into_iter().try_for_each(|id| self.remove_segment(id))
    }

    fn segment_file(&self, id: SegmentId) -> PathBuf {
        self.dir.join("segments").join(format!("{:x}.json", id.get()))
    }

    fn chain_file(&self, id: SegmentId) -> PathBuf {
        self.dir.join("chains").join(format!("{:x}.json", id.get()))
    }

    fn port_file(&self, id: PortId) -> PathBuf {
        self.dir.join("ports").join(format!("{:x}.json", id.get()))
    }

    fn incomplete_file(&self, name: &DcName) -> PathBuf {
        self.dir.join("incomplete").join(format!("{name}.json"))
    }
}

/// The segments, chains and ports recorded in a directory, for an installation that this program does not drive.
pub(crate) fn read_specs(dir: &Path) -> io::Result<(Vec<SegmentSpec>, Vec<ChainSpec>, Vec<PortSpec>)> {
    let chains = read_all(&dir.join("chains"))?;
    Ok((read_all(&dir.join("segments"))?, chains, read_all(&dir.join("ports"))?))
}

fn read_all<T: DeserializeOwned>(dir: &Path) -> io::Result<Vec<T>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let bytes = match fs::read(&path) {
                // Removed since the directory was listed: others work on other instances.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            let spec = serde_json::from_slice(&bytes)
                .map_err(|error| io::Error::other(format!("{}: {error}; delete it", path.display())))?;
            found.push(spec);
        }
    }
    Ok(found)
}

fn write<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let unfinished = path.with_extension("new");
    fs::write(&unfinished, serde_json::to_vec(value)?)?;
    fs::rename(&unfinished, path)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use llcm_names::{InstallationId, LinkGroup};
    use llcm_runtime::SegmentKind;

    use super::*;

    fn segment(id: u32, instance: &str) -> SegmentSpec {
        SegmentSpec {
            owner: Owner { installation: InstallationId::from_bits(1), instance: instance.parse().unwrap() },
            id: SegmentId::try_from(id).unwrap(),
            group: LinkGroup::try_from(1).unwrap(),
            kind: SegmentKind::ELan,
            ends: Vec::new(),
        }
    }

    const FIRST: &str = "0123abcd-0000-4000-8000-000000000000";
    const SECOND: &str = "0123abcd-0000-4000-8000-000000000001";

    #[test]
    fn records_outlive_the_program_and_go_with_their_owner() {
        let dir = tempfile::tempdir().unwrap();
        let mut records = Records::load(dir.path()).unwrap();
        let specs = [segment(1, FIRST), segment(2, FIRST), segment(0xff_ffff, SECOND)];
        specs.iter().for_each(|spec| records.put_segment(spec).unwrap());
        // What a crash leaves of a record that was being written.
        fs::write(dir.path().join("segments/7.new"), b"{").unwrap();

        let mut records = Records::load(dir.path()).unwrap();
        assert!(records.segments().values().eq(specs.iter()));
        records.remove_owner(&specs[0].owner).unwrap();
        assert!(records.segments().values().eq([&specs[2]]));
        assert_eq!(read_specs(dir.path()).unwrap().0, [specs[2].clone()]);
    }

    #[test]
    fn that_a_data_center_lacks_something_outlives_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let mut records = Records::load(dir.path()).unwrap();
        let names = ["dc1", "a.b"].map(|name| DcName::parse(name).unwrap());
        // Without segments and chains it lacks nothing.
        records.put_incomplete(&names[0]).unwrap();
        assert!(Records::load(dir.path()).unwrap().incomplete().is_empty());
        records.all_complete().unwrap();
        records.put_segment(&segment(1, FIRST)).unwrap();
        names.iter().for_each(|name| records.put_incomplete(name).unwrap());

        let mut records = Records::load(dir.path()).unwrap();
        assert!(records.incomplete().iter().eq([&names[1], &names[0]]));
        records.all_complete().unwrap();
        assert!(Records::load(dir.path()).unwrap().incomplete().is_empty());
    }

    #[test]
    fn a_record_that_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        drop(Records::load(dir.path()).unwrap());
        fs::write(dir.path().join("segments/7.json"), b"{").unwrap();
        let error = Records::load(dir.path()).unwrap_err();
        assert!(error.message.contains("7.json"), "{error}");
    }

    #[test]
    fn what_others_remove_meanwhile_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut records = Records::load(dir.path()).unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| (0..2000).try_for_each(|_| read_specs(dir.path()).map(drop)));
            while !reader.is_finished() {
                for id in 1..20 {
                    records.put_segment(&segment(id, FIRST)).unwrap();
                }
                for id in 1..20 {
                    records.remove_segment(SegmentId::try_from(id).unwrap()).unwrap();
                }
            }
            reader.join().unwrap().unwrap();
        });
    }
}
