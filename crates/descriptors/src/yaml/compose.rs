//! Events -> tree, within limits.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_saphyr::granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, Span, Tag};

use super::node::{Entry, Key, Kind, Node};
use crate::diagnostic::{Diagnostic, Severity};

/// Levels of lists and maps. Real descriptors have at most 8.
const MAX_DEPTH: usize = 48;
/// Nodes plus bytes of text, everything that aliases stand for counted: 3000 aliases of a megabyte are refused
/// at the sixteenth, although sharing makes them cheap, because whoever walks the tree would pay.
const MAX_WEIGHT: usize = 16 << 20;
const TOO_DEEP: &str = "lists and maps are nested more than 48 levels deep";
const TOO_DEEP_HINT: &str = "descriptors need no more than ten levels: is this the right file?";
/// Warnings kept: more than anybody reads.
const MAX_WARNINGS: usize = 100;

/// A list or map that is not complete yet.
struct Frame {
    content: Content,
    line: u32,
    column: u32,
    anchor: usize,
    weight: usize,
    height: usize,
}

enum Content {
    List(Vec<Rc<Node>>),
    Map { entries: Vec<Entry>, key: Option<Option<Key>> },
}

struct Composer<'a> {
    document: &'a str,
    frames: Vec<Frame>,
    anchors: BTreeMap<usize, Rc<Node>>,
    weight: usize,
    root: Option<Rc<Node>>,
    warnings: Vec<Diagnostic>,
}

/// Reads the one document of a file.
///
/// # Errors
/// The finding that stopped the reading: no YAML, several documents, a limit. Warnings are of duplicate keys.
pub(crate) fn compose(document: &str, bytes: &[u8]) -> Result<(Rc<Node>, Vec<Diagnostic>), Box<Diagnostic>> {
    let error = |code, message: &str, hint: &str| {
        Box::new(Diagnostic::new(Severity::Error, code, document, "", message).hint(hint))
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|_| error("not-utf8", "the file is not UTF-8 text", "save it in the encoding UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = MAX_DEPTH;
    options.block_nesting_limit = MAX_DEPTH;
    let mut composer = Composer {
        document,
        frames: Vec::new(),
        anchors: BTreeMap::new(),
        weight: 0,
        root: None,
        warnings: Vec::new(),
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|scan| {
            let finding = match scan.kind() {
                ErrorKind::RecursionLimitExceeded => error("too-deep", TOO_DEEP, TOO_DEEP_HINT),
                _ => error(
                    "broken-yaml",
                    &format!("not valid YAML: {}", scan.info()),
                    "correct the syntax here",
                ),
            };
            let marker = scan.marker();
            Box::new(finding.at(number(marker.line()), number(marker.col() + 1)))
        })?;
        composer.event(event, &span)?;
    }
    match composer.root {
        Some(root) => Ok((root, composer.warnings)),
        None => Err(error("empty-document", "the file holds nothing", "fill in the descriptor")),
    }
}

fn number(from: usize) -> u32 {
    u32::try_from(from).unwrap_or(u32::MAX)
}

impl Composer<'_> {
    fn event(&mut self, event: Event<'_>, span: &Span) -> Result<(), Box<Diagnostic>> {
        let (line, column) = place(span);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => Err(self.stop(
                span,
                "several-documents",
                "a second document begins here",
                "keep one document per file: remove the line `---` and what follows",
            )),
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && !tag.is_some_and(|tag| is_string(&tag));
                let weight = 1 + text.len();
                let kind = Kind::Scalar { text: text.into_owned(), plain };
                self.complete(Node { kind, line, column, weight, height: 1 }, anchor, span)
            }
            Event::SequenceStart(_, anchor, _) => self.open(Content::List(Vec::new()), anchor, span),
            Event::MappingStart(_, anchor, _) => {
                self.open(Content::Map { entries: Vec::new(), key: None }, anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Alias(id) => match self.anchors.get(&id).cloned() {
                Some(node) => {
                    self.charge(node.weight, span)?;
                    self.place(node, span)
                }
                None => Err(self.stop(
                    span,
                    "broken-yaml",
                    "this alias stands inside the value that it refers to",
                    "write the value out",
                )),
            },
            _ => Ok(()),
        }
    }

    fn stop(&self, span: &Span, code: &str, message: &str, hint: &str) -> Box<Diagnostic> {
        let (line, column) = place(span);
        Box::new(
            Diagnostic::new(Severity::Error, code, self.document, "", message).hint(hint).at(line, column),
        )
    }

    fn charge(&mut self, weight: usize, span: &Span) -> Result<(), Box<Diagnostic>> {
        self.weight = self.weight.saturating_add(weight);
        if self.weight > MAX_WEIGHT {
            return Err(self.stop(
                span,
                "document-too-large",
                "the document with all its aliases written out is larger than 16 MiB",
                "write less, and use fewer aliases",
            ));
        }
        Ok(())
    }

    fn open(&mut self, content: Content, anchor: usize, span: &Span) -> Result<(), Box<Diagnostic>> {
        let (line, column) = place(span);
        self.check_height(self.frames.len() + 1, span)?;
        self.frames.push(Frame { content, line, column, anchor, weight: 1, height: 1 });
        Ok(())
    }

    fn check_height(&self, height: usize, span: &Span) -> Result<(), Box<Diagnostic>> {
        if height <= MAX_DEPTH {
            return Ok(());
        }
        Err(self.stop(span, "too-deep", TOO_DEEP, TOO_DEEP_HINT))
    }

    fn close(&mut self, span: &Span) -> Result<(), Box<Diagnostic>> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        let kind = match frame.content {
            Content::List(items) => Kind::List(items),
            Content::Map { entries, .. } => Kind::Map(self.unique(merge(entries))),
        };
        let Frame { line, column, anchor, weight, height, .. } = frame;
        self.complete(Node { kind, line, column, weight, height }, anchor, span)
    }

    /// A new node is complete. What it holds has been charged already, so it costs its own part only.
    fn complete(&mut self, node: Node, anchor: usize, span: &Span) -> Result<(), Box<Diagnostic>> {
        let own = if matches!(node.kind, Kind::Scalar { .. }) { node.weight } else { 1 };
        self.charge(own, span)?;
        let node = Rc::new(node);
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.place(node, span)
    }

    fn place(&mut self, node: Rc<Node>, span: &Span) -> Result<(), Box<Diagnostic>> {
        let height = node.height + 1;
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.weight = frame.weight.saturating_add(node.weight);
        frame.height = frame.height.max(height);
        match &mut frame.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, key } => match key.take() {
                Some(Some(key)) => entries.push(Entry { key, value: node }),
                Some(None) => {}
                None => {
                    let (line, column) = place(span);
                    if let Kind::Scalar { text, .. } = &node.kind {
                        *key = Some(Some(Key { text: text.clone(), line, column }));
                    } else {
                        *key = Some(None);
                        self.warnings.truncate(MAX_WARNINGS);
                        self.warnings.push(
                            Diagnostic::new(
                                Severity::Warning,
                                "complex-key",
                                self.document,
                                "",
                                "a list or map as a key means nothing in a descriptor and is ignored",
                            )
                            .at(line, column),
                        );
                    }
                }
            },
        }
        self.check_height(height, span)
    }

    /// The last of several equal keys wins, as in the parsers that the descriptors were written for.
    fn unique(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let mut last = BTreeMap::new();
        for (index, entry) in entries.iter().enumerate() {
            let earlier = last.insert(entry.key.text.as_str(), index);
            if let Some(earlier) = earlier.filter(|_| self.warnings.len() < MAX_WARNINGS) {
                let key: String = entry.key.text.chars().take(60).collect();
                self.warnings.push(
                    Diagnostic::new(
                        Severity::Warning,
                        "duplicate-key",
                        self.document,
                        "",
                        format!("the key `{key}` stands here again; the last one wins"),
                    )
                    .hint(format!("remove the one of line {}", entries[earlier].key.line))
                    .at(entry.key.line, entry.key.column),
                );
            }
        }
        if last.len() == entries.len() {
            return entries;
        }
        let mut keep: Vec<usize> = last.into_values().collect();
        keep.sort_unstable();
        keep.into_iter().map(|index| entries[index].clone()).collect()
    }
}

/// YAML 1.1 merge keys: `<<: *base` adds what the map itself does not have.
fn merge(entries: Vec<Entry>) -> Vec<Entry> {
    if !entries.iter().any(|entry| entry.key.text == "<<") {
        return entries;
    }
    let (bases, mut own): (Vec<_>, Vec<_>) = entries.into_iter().partition(|entry| entry.key.text == "<<");
    let mut names: std::collections::BTreeSet<String> =
        own.iter().map(|entry| entry.key.text.clone()).collect();
    for base in bases {
        let maps = match &base.value.kind {
            Kind::List(items) => items.clone(),
            _ => vec![Rc::clone(&base.value)],
        };
        for map in maps {
            let Kind::Map(inherited) = &map.kind else { continue };
            for entry in inherited {
                if names.insert(entry.key.text.clone()) {
                    own.push(entry.clone());
                }
            }
        }
    }
    own
}

fn is_string(tag: &Tag) -> bool {
    tag.is_yaml_core_schema_tag("str") || tag.parts() == ("", "!") || tag.parts() == ("!", "")
}

fn place(span: &Span) -> (u32, u32) {
    (number(span.start.line()), number(span.start.col() + 1))
}
