//! The images that a service needs.

use std::collections::BTreeMap;

use llcm_descriptors::{DeploymentUnit, Descriptors, Diagnostic, ImageSource, Vnfd};
use serde::{Deserialize, Serialize};

use super::findings::Findings;
use super::saps::{Saps, Without};
use super::service::{Service, UnitRef};
use crate::settings::{Dialect, Settings};

/// The image of a deployment unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageNeed {
    /// The function.
    pub vnf_id: String,
    /// The unit.
    pub du_id: String,
    /// What the engine calls the image: the reference as given, or the tag it is built under.
    pub reference: String,
    /// The path within the package of the Dockerfile it is built from; `None`: it is pulled.
    pub dockerfile: Option<String>,
}

/// The images of all units, in starting order, repetitions included.
///
/// # Errors
/// When a unit's image is a Dockerfile and building is switched off, and when two different images would have
/// the same name.
pub fn images(descriptors: &Descriptors, settings: &Settings) -> Result<Vec<ImageNeed>, Vec<Diagnostic>> {
    let mut findings = Findings::default();
    let saps = Saps::new(descriptors, settings, Without::default(), &mut findings);
    let service = Service::new(&saps.descriptors, Dialect::Tango, &mut findings);
    let mut needs = Vec::with_capacity(service.units.len());
    let mut sources: BTreeMap<String, ImageNeed> = BTreeMap::new();
    for unit in &service.units {
        check(unit, settings, &mut findings);
        let need = need(unit.vnf_id, unit.unit);
        let known = sources.entry(need.reference.clone()).or_insert_with(|| need.clone());
        if known.dockerfile != need.dockerfile {
            findings.error(
                "image-tag-twice",
                (&unit.vnfd.document, &unit.unit.path),
                format!(
                    "the images of {}.{} and {}.{} are different ones and would both be called {}",
                    known.vnf_id, known.du_id, need.vnf_id, need.du_id, need.reference
                ),
                "change one of the ids: images are built under vnf_id.du_id in lower case",
            );
        }
        needs.push(need);
    }
    findings.finish(needs).map(|(needs, _)| needs)
}

/// The image of one unit; `None` when there is no such unit.
pub(crate) fn image_of(descriptors: &Descriptors, vnf_id: &str, du_id: &str) -> Option<ImageNeed> {
    unit_of(descriptors, vnf_id, du_id).map(|(_, unit)| need(vnf_id, unit))
}

/// Where the unit with an image stands: document and path, both empty when there is no such unit.
pub(crate) fn place_of<'a>(descriptors: &'a Descriptors, need: &ImageNeed) -> (&'a str, &'a str) {
    let found = unit_of(descriptors, &need.vnf_id, &need.du_id);
    found.map_or(("", ""), |(vnfd, unit)| (vnfd.document.as_str(), unit.path.as_str()))
}

fn unit_of<'a>(
    descriptors: &'a Descriptors,
    vnf_id: &str,
    du_id: &str,
) -> Option<(&'a Vnfd, &'a DeploymentUnit)> {
    let function = descriptors.nsd.functions.iter().find(|function| function.vnf_id == vnf_id)?;
    let vnfd = descriptors.vnfds.get(&function.vnf_name)?;
    vnfd.units.iter().find(|unit| unit.id == du_id).map(|unit| (vnfd, unit))
}

fn need(vnf_id: &str, unit: &DeploymentUnit) -> ImageNeed {
    let (reference, dockerfile) = match &unit.image {
        ImageSource::Reference { reference } => (reference.clone(), None),
        ImageSource::Dockerfile { path } => (tag(vnf_id, &unit.id), Some(path.clone())),
    };
    ImageNeed { vnf_id: vnf_id.to_owned(), du_id: unit.id.clone(), reference, dockerfile }
}

/// Reports a Dockerfile that must not be built.
pub(super) fn check(unit: &UnitRef<'_>, settings: &Settings, findings: &mut Findings) {
    if let ImageSource::Dockerfile { path } = &unit.unit.image
        && !settings.build_images
    {
        findings.error(
            "dockerfile-not-built",
            (&unit.vnfd.document, &unit.unit.path),
            format!("the image of {}.{} is built from {path}", unit.vnf_id, unit.unit.id),
            "allow building with the setting `build_images`",
        );
    }
}

/// What the engine calls a unit's image.
pub(super) fn reference(unit: &UnitRef<'_>) -> String {
    need(unit.vnf_id, unit.unit).reference
}

/// `vnf_id.du_id`, as far as image names allow: lower case, and nothing but letters, digits and single
/// separators between them (the distribution project's reference grammar).
fn tag(vnf_id: &str, du_id: &str) -> String {
    let mut tag = String::new();
    for c in format!("{vnf_id}.{du_id}").chars() {
        if c.is_ascii_alphanumeric() {
            tag.push(c.to_ascii_lowercase());
        } else if tag.ends_with(|last: char| last.is_ascii_alphanumeric()) {
            tag.push(if matches!(c, '.' | '_' | '-') { c } else { '-' });
        }
    }
    tag.trim_end_matches(['.', '_', '-']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::tag;

    #[test]
    fn tags_follow_the_grammar_of_image_names() {
        for (vnf_id, du_id, expected) in [
            ("vnf0", "vdu01", "vnf0.vdu01"),
            ("vnf_cc", "CDU-01", "vnf_cc.cdu-01"),
            ("fw", "vdu01:eth0", "fw.vdu01-eth0"),
            ("_a__b", "c.", "a_b.c"),
        ] {
            assert_eq!(tag(vnf_id, du_id), expected);
        }
    }
}
