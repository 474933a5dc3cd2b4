//! Templates: rings, stars, trees, full meshes and grids, written out.

use llcm_names::DcName;

use super::links::Directions;
use super::{Fields, Loader, join};
use crate::assemble::{MAX_DATACENTERS, MAX_LINKS};
use crate::change::NewLink;
use crate::finding::Place;
use crate::model::{LinkEnd, LinkProperties};
use crate::shape::Shape;
use crate::units::whole;
use crate::yaml::{Node, Value};

/// The keys that all templates have.
const COMMON: [&str; 6] = ["shape", "prefix", "metadata", "capacity", "engine", "links"];
const SHAPES: &str = "expected a shape: ring, star, tree, mesh or grid";

/// A template whose data centers are there; its links come behind those that are written out.
pub(super) struct Template {
    path: String,
    place: Place,
    shape: Shape,
    names: Vec<DcName>,
    links: Directions,
}

impl Loader {
    pub(super) fn templates(&mut self, node: &Node) -> Vec<Template> {
        let mut templates = Vec::new();
        for (position, item) in self.list("templates", node).iter().enumerate() {
            let path = format!("templates[{position}]");
            // A template without data centers has none for errors only, and of those one is enough.
            if let Err(full) = self.assembly.room(1, 0) {
                self.error(&path, item, full);
                break;
            }
            templates.extend(self.template(path, item));
        }
        templates
    }

    fn template(&mut self, path: String, node: &Node) -> Option<Template> {
        let shape_name = shape_name(node);
        let sizes = shape_name.and_then(Shape::keys);
        let known: Vec<&str> = match sizes {
            Some(sizes) => COMMON.into_iter().chain(sizes.iter().copied()).collect(),
            // One finding is enough.
            None => COMMON.into_iter().chain(Shape::ALL_KEYS).collect(),
        };
        let fields = self.fields(&path, node, &known)?;
        if sizes.is_none() {
            let (path, node) =
                fields.get("shape").map_or((path.clone(), node), |it| (join(&path, "shape"), it));
            self.error(&path, node, SHAPES);
        }
        let traits = self.traits(&path, &fields);
        let links = match fields.get("links") {
            Some(node) => self.template_links(&join(&path, "links"), node),
            None => Some((LinkProperties::default(), LinkProperties::default())),
        };
        let prefix = self.prefix(&path, node, &fields);
        let mut read = Vec::new();
        for key in sizes? {
            if fields.contains_key(key) {
                read.push(self.quantity(&path, &fields, key, number));
            } else {
                self.error(&path, node, format!("the template has no {key}"));
                read.push(None);
            }
        }
        let read: Option<Vec<u64>> = read.into_iter().collect();
        let shape = match Shape::new(shape_name?, &read?) {
            Ok(shape) => shape,
            Err(problem) => {
                self.error(&path, node, problem);
                return None;
            }
        };
        let size = shape.size().ok_or_else(|| {
            format!("there can be at most {MAX_DATACENTERS} data centers and {MAX_LINKS} links")
        });
        let fits = size.and_then(|(count, links)| self.assembly.room(count, links).map(|()| count));
        let count = match fits {
            Ok(count) => count,
            Err(full) => {
                self.error(&path, node, full);
                return None;
            }
        };
        let (prefix_node, prefix) = prefix?;
        let (traits, links) = (traits?, links?);
        let mut names = Vec::new();
        for index in 0..count {
            let name = format!("{prefix}{}", shape.suffix(index));
            let name = self.name(&join(&path, "prefix"), prefix_node, &name)?;
            if let Err(problem) = self.assembly.add_datacenter(traits.clone().named(name.clone())) {
                self.error(&join(&path, "prefix"), prefix_node, problem);
                return None;
            }
            names.push(name);
        }
        Some(Template { path, place: node.place, shape, names, links })
    }

    fn prefix<'a>(&mut self, path: &str, node: &Node, fields: &Fields<'a>) -> Option<(&'a Node, &'a str)> {
        let Some(prefix) = fields.get("prefix").copied() else {
            self.error(path, node, "the template has no prefix: its data centers are named by it");
            return None;
        };
        Some((prefix, self.text(&join(path, "prefix"), prefix)?))
    }

    /// Adds a template's links.
    pub(super) fn join_template(&mut self, template: &Template) {
        let (forward, backward) = template.links;
        for (from, to) in template.shape.edges() {
            let (Some(from), Some(to)) = (template.names.get(from), template.names.get(to)) else { continue };
            let a = LinkEnd { dc: from.clone(), egress: forward };
            let b = LinkEnd { dc: to.clone(), egress: backward };
            let link = NewLink { name: None, a, b, up: true };
            if let Err(problem) = self.assembly.add_link(link) {
                return self.findings.error(&template.path, template.place, problem);
            }
        }
    }
}

/// The shape that is written there, if that can be said.
fn shape_name(node: &Node) -> Option<&str> {
    let Value::Map(entries) = &node.value else { return None };
    let shape = entries.iter().find(|entry| entry.key == "shape")?;
    match &shape.value.value {
        Value::Scalar(text) => Some(text),
        _ => None,
    }
}

fn number(text: &str) -> Result<u64, &'static str> {
    whole(text, 1..=4096).map(u64::from).ok_or("expected a number from 1 to 4096")
}
