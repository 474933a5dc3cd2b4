//! Plans of small services, written as descriptors so that a test reads like a package.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use llcm_descriptors::{Descriptors, Diagnostic, LoadOptions, Severity, load};
use llcm_names::{InstallationId, InstanceId, Ssiid};
use llcm_topology::{Topology, default_topology};

use super::*;
use crate::settings::Settings;

mod golden;
mod links;
mod management;
mod placing;
mod saps;
mod several;
mod units;

/// A package of the given NSD (without its head) and VNFDs (name, rest).
fn package(nsd: &str, vnfds: &[(&str, &str)]) -> Descriptors {
    let mut napd = "vendor: eu.test\nname: demo\nversion: '0.1'\npackage_content:\n\
                    - {source: nsd.yaml, content-type: application/vnd.5gtango.nsd}\n"
        .to_owned();
    let head = |name: &str| format!("vendor: eu.test\nname: {name}\nversion: '0.1'\n");
    let mut files = BTreeMap::from([("nsd.yaml".to_owned(), head("demo-ns") + nsd)]);
    for (name, text) in vnfds {
        napd += &format!("- {{source: {name}.yaml, content-type: application/vnd.5gtango.vnfd}}\n");
        files.insert(format!("{name}.yaml"), head(name) + text);
    }
    files.insert("TOSCA-Metadata/NAPD.yaml".to_owned(), napd);
    let files: BTreeMap<String, Vec<u8>> = files.into_iter().map(|(k, v)| (k, v.into_bytes())).collect();
    let loaded = load(&files, &LoadOptions { build_images: true });
    loaded.descriptors.unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}

/// A VNFD with one docker VDU `vdu01` that has these connection points and nothing else.
fn one_unit(points: &str) -> String {
    format!(
        "virtual_deployment_units:\n\
         - id: vdu01\n  vm_image: alpine\n  vm_image_format: docker\n  connection_points: {points}\n"
    )
}

/// Functions `vnf0`, `vnf1`, ... of one VNFD `fw`, with these links.
fn service(functions: usize, links: &str) -> String {
    let functions: String = (0..functions).map(|n| format!("- {{vnf_id: vnf{n}, vnf_name: fw}}\n")).collect();
    format!("network_functions:\n{functions}virtual_links:\n{links}forwarding_graphs: []\n")
}

/// What a plan is made from, with defaults.
struct Bench {
    descriptors: Descriptors,
    topology: Topology,
    settings: Settings,
    dialect: Dialect,
    state: PlanState,
    facts: Option<HostFacts>,
    env_files: BTreeMap<String, BTreeMap<String, String>>,
    reserved: Reserved,
    results: PathBuf,
}

impl Bench {
    fn new(descriptors: Descriptors) -> Self {
        Self {
            descriptors,
            topology: default_topology(),
            settings: Settings::default(),
            dialect: Dialect::Tango,
            state: PlanState::default(),
            facts: None,
            env_files: BTreeMap::new(),
            reserved: Reserved::default(),
            results: PathBuf::from("/results/service"),
        }
    }

    /// Functions of one VNFD with one unit, joined by links.
    fn chain(functions: usize, points: &str, links: &str) -> Self {
        Self::new(package(&service(functions, links), &[("fw", &one_unit(points))]))
    }

    fn onboard(&mut self) -> Result<(), Vec<Diagnostic>> {
        self.reserved = reserve(&self.descriptors, &self.settings, self.dialect, &self.state.subnets)?;
        self.state.hold(&self.reserved);
        Ok(())
    }

    /// Plans an instance with a given SSIID, and an id made of `id`.
    fn build(&self, id: u128, ssiid: u16) -> Result<InstancePlan, Vec<Diagnostic>> {
        build(&PlanRequest {
            descriptors: &self.descriptors,
            reserved: &self.reserved,
            topology: &self.topology,
            settings: &self.settings,
            dialect: self.dialect,
            state: &self.state,
            facts: self.facts.as_ref(),
            env_files: &self.env_files,
            results: &self.results,
            placement: None,
            installation: &InstallationId::from_bits(0xc0ffee),
            instance: InstanceId::new(uuid::Uuid::from_u128(id)),
            ssiid: Ssiid::new(ssiid),
        })
    }

    /// On-boards and plans the first instance.
    fn plan(&mut self) -> InstancePlan {
        self.try_plan().unwrap_or_else(|findings| panic!("{}", texts(&findings).join("\n")))
    }

    fn try_plan(&mut self) -> Result<InstancePlan, Vec<Diagnostic>> {
        self.onboard()?;
        self.build(1, 0)
    }

    /// The errors of on-boarding and planning the first instance.
    fn errors(&mut self) -> Vec<String> {
        let findings = self.try_plan().expect_err("it must not be possible to plan this");
        let errors: Vec<_> = findings.into_iter().filter(|f| f.severity == Severity::Error).collect();
        texts(&errors)
    }
}

fn texts(findings: &[Diagnostic]) -> Vec<String> {
    findings.iter().map(ToString::to_string).collect()
}

/// `container:interface address` of all ends of a link.
fn ends(link: &LinkPlan) -> Vec<String> {
    link.ends.iter().map(|end| format!("{}:{} {}", end.container, end.interface, end.address)).collect()
}

fn set<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeSet<T> {
    items.into_iter().collect()
}
