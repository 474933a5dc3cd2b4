//! A YAML file as a tree whose values know their places.
//!
//! Built from the parser's events, because values are wanted as texts, the way they are written: a data center
//! may be called `no` or `010`, which typed readers take for a boolean and a number.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, Span};

use crate::finding::Place;

/// What is wrong, and where.
type Fault = (Place, String);

/// Levels of lists and maps; the format has at most 5.
const MAX_DEPTH: usize = 16;
/// Values plus bytes of text, aliases written out.
const MAX_WEIGHT: usize = 16 << 20;

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// A key of a map and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) place: Place,
    pub(crate) value: Node,
}

impl Node {
    /// Whether this is a map with a key.
    pub(crate) fn has(&self, key: &str) -> bool {
        matches!(&self.value, Value::Map(entries) if entries.iter().any(|entry| entry.key == key))
    }

    /// Bytes of a single value; 0 of all else.
    pub(crate) fn bytes(&self) -> usize {
        match &self.value {
            Value::Scalar(text) => text.len(),
            _ => 0,
        }
    }

    /// Whether this is a single value, written like this.
    pub(crate) fn says(&self, word: &str) -> bool {
        matches!(&self.value, Value::Scalar(text) if text == word)
    }
}

/// A value. Numbers and booleans are texts: what they mean is for the reader to say.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

impl Value {
    /// What this is, for messages.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Scalar(_) => "a single value",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// Reads the one document of a file; an empty file is [`Value::Null`].
///
/// # Errors
/// What is no YAML or too large, with the place.
pub(crate) fn read(text: &str) -> Result<Node, Fault> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut composer = Composer::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let at = error.marker();
            fault(Place::new(at.line(), at.col() + 1), format!("not valid YAML: {}", error.info()))
        })?;
        composer.event(event, &span)?;
    }
    Ok(composer.root.unwrap_or(Node { value: Value::Null, place: Place::START }))
}

fn fault(place: Place, message: impl Into<String>) -> Fault {
    (place, message.into())
}

/// A list or map that is not complete yet.
struct Frame {
    node: Node,
    anchor: usize,
    /// A map's key that waits for its value.
    key: Option<(String, Place)>,
    /// Its values and bytes, itself included.
    weight: usize,
}

#[derive(Default)]
struct Composer {
    frames: Vec<Frame>,
    /// What anchors stand for, with its weight.
    anchors: BTreeMap<usize, (Node, usize)>,
    /// Of all that was read or stands for an alias.
    weight: usize,
    root: Option<Node>,
}

impl Composer {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Fault> {
        let place = Place::new(span.start.line(), span.start.col() + 1);
        let node = |value| Node { value, place };
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(fault(place, "a second document begins here: keep one document per file"))
            }
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let null = plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
                let value = if null { Value::Null } else { Value::Scalar(text.into_owned()) };
                let weight = match &value {
                    Value::Scalar(text) => 1 + text.len(),
                    _ => 1,
                };
                self.charge(weight, place)?;
                self.complete(node(value), anchor, weight)
            }
            Event::SequenceStart(_, anchor, _) => self.open(node(Value::List(Vec::new())), anchor),
            Event::MappingStart(_, anchor, _) => self.open(node(Value::Map(Vec::new())), anchor),
            Event::SequenceEnd | Event::MappingEnd => match self.frames.pop() {
                Some(frame) => self.complete(frame.node, frame.anchor, frame.weight),
                None => Ok(()),
            },
            Event::Alias(id) => match self.anchors.get(&id).map(|(_, weight)| *weight) {
                Some(weight) => {
                    self.charge(weight, place)?;
                    let node = self.anchors.get(&id).map(|(node, _)| node.clone());
                    node.map_or(Ok(()), |node| self.complete(node, 0, weight))
                }
                None => Err(fault(place, "the alias stands inside the value that it refers to")),
            },
            _ => Ok(()),
        }
    }

    fn open(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(fault(node.place, "lists and maps are nested too deeply"));
        }
        self.charge(1, node.place)?;
        self.frames.push(Frame { node, anchor, key: None, weight: 1 });
        Ok(())
    }

    fn charge(&mut self, weight: usize, place: Place) -> Result<(), Fault> {
        self.weight += weight;
        if self.weight > MAX_WEIGHT {
            return Err(fault(place, "with all its aliases written out the file is larger than 16 MiB"));
        }
        Ok(())
    }

    fn complete(&mut self, node: Node, anchor: usize, weight: usize) -> Result<(), Fault> {
        let place = node.place;
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.weight += weight;
        match (&mut frame.node.value, frame.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(entries), Some((key, place))) => entries.push(Entry { key, place, value: node }),
            (Value::Map(_), None) => match node.value {
                Value::Scalar(text) => frame.key = Some((text, place)),
                other => {
                    return Err(fault(place, format!("a key must be a text, found {}", other.describe())));
                }
            },
            (Value::Null | Value::Scalar(_), _) => {}
        }
        Ok(())
    }
}
