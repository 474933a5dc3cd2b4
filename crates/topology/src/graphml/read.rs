//! The nodes and edges of a GraphML file with the attributes that mean something here, nothing interpreted yet.

use std::collections::BTreeMap;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::finding::{Findings, Place};

/// Levels of elements. The Zoo's files have 4; drawing programs nest further ones in their nodes.
const MAX_DEPTH: usize = 64;
/// Declarations of attributes.
const MAX_KEYS: usize = 1000;
/// Nodes, those that are left out later among them.
const MAX_NODES: usize = 16_384;
/// Edges, likewise.
const MAX_EDGES: usize = 131_072;

/// The attributes that are kept.
const WANTED: [&str; 9] = [
    "label",
    "Country",
    "Latitude",
    "Longitude",
    "Internal",
    "hyperedge",
    "LinkSpeedRaw",
    "LinkSpeed",
    "LinkSpeedUnits",
];

/// Bytes of an attribute that is kept.
const MAX_VALUE: usize = 1024;

/// Attributes by name.
pub(super) type Data = BTreeMap<&'static str, String>;

/// What stands in the file.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) place: Option<Place>,
    /// Whether edges are directed unless they say otherwise.
    pub(super) directed: bool,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    /// The values of nodes that say nothing, held once for all of them.
    node_defaults: Data,
    /// Likewise of edges.
    edge_defaults: Data,
}

impl Graph {
    /// An attribute of a node.
    pub(super) fn of_node<'g>(&'g self, node: &'g Node, name: &str) -> Option<&'g str> {
        node.data.get(name).or_else(|| self.node_defaults.get(name)).map(String::as_str)
    }

    /// An attribute of an edge.
    pub(super) fn of_edge<'g>(&'g self, edge: &'g Edge, name: &str) -> Option<&'g str> {
        edge.data.get(name).or_else(|| self.edge_defaults.get(name)).map(String::as_str)
    }
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) place: Place,
    data: Data,
}

#[derive(Debug)]
pub(super) struct Edge {
    pub(super) source: String,
    pub(super) target: String,
    pub(super) directed: Option<bool>,
    pub(super) place: Place,
    data: Data,
}

/// An element that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Root,
    Key,
    /// A key's default value.
    Default,
    Graph,
    Node,
    Edge,
    /// Of a wanted attribute, by its place in [`WANTED`].
    Data(&'static str),
    /// Anything else, with all that is in it.
    Other,
}

/// What a key declares.
struct Key {
    name: Option<&'static str>,
    /// `node`, `edge`, `graph` or `all`.
    domain: String,
    default: Option<String>,
}

/// Reads the file. What is no GraphML at all is one error: behind it nothing can be understood.
pub(super) fn read(text: &str, findings: &mut Findings) -> Option<Graph> {
    let mut reader = Reader::from_str(text);
    let mut places = Places { text, offset: 0, line: 1, column: 1 };
    let mut scan = Scan {
        text,
        graph: Graph::default(),
        keys: BTreeMap::new(),
        key: None,
        open: Vec::new(),
        value: String::new(),
        done: false,
        findings,
    };
    loop {
        let place = places.at(reader.buffer_position());
        let result = match reader.read_event() {
            Ok(Event::Eof) => match scan.open.last() {
                _ if !scan.done && scan.open.is_empty() => Err("there is no element in the file".to_owned()),
                Some(_) => Err("the file ends before its elements do".to_owned()),
                None => break,
            },
            Ok(event) => scan.event(event, place),
            Err(error) => {
                let place = places.at(reader.error_position());
                scan.findings.error("", place, format!("not valid XML: {error}"));
                return None;
            }
        };
        if let Err(problem) = result {
            scan.findings.error("", place, problem);
            return None;
        }
    }
    scan.keep_defaults();
    Some(scan.graph)
}

struct Scan<'f, 't> {
    text: &'t str,
    graph: Graph,
    keys: BTreeMap<String, Key>,
    /// The key that is open.
    key: Option<String>,
    open: Vec<Open>,
    /// The text of the attribute that is open.
    value: String,
    /// The root element has ended.
    done: bool,
    findings: &'f mut Findings,
}

impl Scan<'_, '_> {
    fn event(&mut self, event: Event<'_>, place: Place) -> Result<(), String> {
        match event {
            Event::Start(start) => {
                let opened = self.start(&start, place)?;
                self.open.push(opened);
                Ok(())
            }
            Event::Empty(start) => {
                let opened = self.start(&start, place)?;
                self.end(opened)
            }
            Event::End(_) => self.open.pop().map_or(Ok(()), |open| self.end(open)),
            Event::Text(text) => self.characters(&text.xml10_content()),
            Event::CData(text) => self.characters(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let known = match reference.resolve_char_ref() {
                    Ok(Some(c)) => Some(c.to_string()),
                    Ok(None) => quick_xml::escape::resolve_predefined_entity(&reference).map(str::to_owned),
                    Err(_) => None,
                };
                let unknown = || {
                    format!("the entity &{}; is not known: XML has five, and no others are read", &*reference)
                };
                self.characters(&known.ok_or_else(unknown)?)
            }
            Event::DocType(_) => {
                Err("document type definitions are not read: remove <!DOCTYPE ...> and its entities"
                    .to_owned())
            }
            Event::Decl(declaration) => {
                let encoding = declaration.encoding().and_then(Result::ok).unwrap_or_default();
                let is_ours =
                    ["", "utf-8", "utf8", "us-ascii"].contains(&encoding.to_ascii_lowercase().as_str());
                if is_ours || self.text.is_ascii() {
                    return Ok(());
                }
                Err(format!("the file calls itself {encoding}: save it in the encoding UTF-8 and say so"))
            }
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn characters(&mut self, text: &str) -> Result<(), String> {
        match self.open.last() {
            Some(Open::Data(_) | Open::Default) => self.value.push_str(text),
            Some(_) => {}
            None if text.trim().is_empty() => {}
            None => return Err("there is text outside of the root element".to_owned()),
        }
        Ok(())
    }

    /// What an element is that begins here.
    fn start(&mut self, start: &BytesStart<'_>, place: Place) -> Result<Open, String> {
        if self.open.len() >= MAX_DEPTH {
            return Err("elements are nested too deeply".to_owned());
        }
        let element = start.local_name();
        match (self.open.last(), element.as_ref()) {
            (None, _) if self.done => Err("there is a second root element".to_owned()),
            (None, "graphml") => Ok(Open::Root),
            (None, other) => {
                Err(format!("the root element is <{other}>, that of a GraphML file is <graphml>"))
            }
            (Some(Open::Root), "key") => self.start_key(start),
            (Some(Open::Key), "default") => {
                self.value.clear();
                Ok(Open::Default)
            }
            (Some(Open::Root), "graph") if self.graph.place.is_none() => {
                self.graph.place = Some(place);
                self.graph.directed = attribute(start, "edgedefault")?.is_some_and(|it| it == "directed");
                Ok(Open::Graph)
            }
            (Some(Open::Root | Open::Node | Open::Edge), "graph") => {
                Err("the file has several graphs: keep one graph per file".to_owned())
            }
            (Some(Open::Graph), "node") => {
                if self.graph.nodes.len() >= MAX_NODES {
                    return Err(format!("there can be at most {MAX_NODES} nodes"));
                }
                let id = attribute(start, "id")?.ok_or("the node has no id")?;
                self.graph.nodes.push(Node { id, place, data: Data::new() });
                Ok(Open::Node)
            }
            (Some(Open::Graph), "edge") => {
                if self.graph.edges.len() >= MAX_EDGES {
                    return Err(format!("there can be at most {MAX_EDGES} edges"));
                }
                let source = attribute(start, "source")?.ok_or("the edge has no source")?;
                let target = attribute(start, "target")?.ok_or("the edge has no target")?;
                let directed = attribute(start, "directed")?.map(|it| it == "true");
                self.graph.edges.push(Edge { source, target, directed, place, data: Data::new() });
                Ok(Open::Edge)
            }
            (Some(Open::Graph), "hyperedge") => {
                self.findings.warning("", place, "the element <hyperedge> is not read: its link is missing");
                Ok(Open::Other)
            }
            (Some(Open::Node | Open::Edge), "data") => {
                let key = attribute(start, "key")?.ok_or("the data has no key")?;
                let Some(key) = self.keys.get(&key) else {
                    return Err(format!("the key {key} is not declared"));
                };
                self.value.clear();
                Ok(key.name.map_or(Open::Other, Open::Data))
            }
            _ => Ok(Open::Other),
        }
    }

    fn start_key(&mut self, start: &BytesStart<'_>) -> Result<Open, String> {
        if self.keys.len() >= MAX_KEYS {
            return Err(format!("there can be at most {MAX_KEYS} keys"));
        }
        let id = attribute(start, "id")?.ok_or("the key has no id")?;
        let name = attribute(start, "attr.name")?.unwrap_or_default();
        let domain = attribute(start, "for")?.unwrap_or_else(|| "all".to_owned());
        let name = WANTED.into_iter().find(|wanted| *wanted == name);
        if self.keys.insert(id.clone(), Key { name, domain, default: None }).is_some() {
            return Err(format!("the key {id} is declared twice"));
        }
        self.key = Some(id);
        Ok(Open::Key)
    }

    fn end(&mut self, open: Open) -> Result<(), String> {
        match open {
            Open::Root => self.done = true,
            Open::Default => {
                let key = self.key.as_ref().and_then(|id| self.keys.get_mut(id));
                if let Some(key) = key
                    && let Some(name) = key.name
                {
                    key.default = Some(value(name, &self.value)?);
                }
            }
            Open::Data(name) => {
                let data = match self.open.last() {
                    Some(Open::Node) => self.graph.nodes.last_mut().map(|node| &mut node.data),
                    Some(Open::Edge) => self.graph.edges.last_mut().map(|edge| &mut edge.data),
                    _ => None,
                };
                if let Some(data) = data {
                    data.insert(name, value(name, &self.value)?);
                }
            }
            Open::Key | Open::Graph | Open::Node | Open::Edge | Open::Other => {}
        }
        Ok(())
    }

    /// Keys may have values for nodes and edges that say nothing.
    fn keep_defaults(&mut self) {
        let Graph { node_defaults, edge_defaults, .. } = &mut self.graph;
        for key in self.keys.values() {
            let (Some(name), Some(default)) = (key.name, &key.default) else { continue };
            for (domain, defaults) in [("node", &mut *node_defaults), ("edge", &mut *edge_defaults)] {
                if key.domain == domain || key.domain == "all" {
                    defaults.entry(name).or_insert_with(|| default.clone());
                }
            }
        }
    }
}

/// The value of an attribute that is kept.
fn value(name: &str, text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > MAX_VALUE {
        return Err(format!("a value of {name} is longer than {MAX_VALUE} bytes"));
    }
    Ok(text.to_owned())
}

/// An attribute of an element; all of them are looked at, so that one that stands there twice is an error.
fn attribute(start: &BytesStart<'_>, name: &str) -> Result<Option<String>, String> {
    let mut found = None;
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| format!("not valid XML: {error}"))?;
        if attribute.key.as_ref() == name {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            found = Some(value.map_err(|error| format!("not valid XML: {error}"))?.into_owned());
        }
    }
    Ok(found)
}

/// Lines and columns of places that are asked for from the beginning to the end: each character is looked at once.
struct Places<'t> {
    text: &'t str,
    offset: usize,
    line: usize,
    column: usize,
}

impl Places<'_> {
    fn at(&mut self, offset: u64) -> Place {
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        for c in self.text.get(self.offset..).unwrap_or_default().chars() {
            if self.offset >= offset {
                break;
            }
            self.offset += c.len_utf8();
            if c == '\n' {
                (self.line, self.column) = (self.line + 1, 1);
            } else {
                self.column += 1;
            }
        }
        Place::new(self.line, self.column)
    }
}
