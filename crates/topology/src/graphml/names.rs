//! Names of data centers from labels.

use std::collections::BTreeMap;

use llcm_names::DcName;

/// Bytes of a name that come from the label: 64 without a number behind it.
const MAX_FROM_LABEL: usize = 56;

/// Letters of the Latin script that are written with one of ASCII's.
const LETTERS: &[(&str, &str)] = &[
    ("ÀÁÂÃÄÅĀĂĄ", "A"),
    ("àáâãäåāăą", "a"),
    ("ÆǼ", "AE"),
    ("æǽ", "ae"),
    ("ÇĆĈĊČ", "C"),
    ("çćĉċč", "c"),
    ("ÐĎĐ", "D"),
    ("ðďđ", "d"),
    ("ÈÉÊËĒĔĖĘĚ", "E"),
    ("èéêëēĕėęě", "e"),
    ("ĜĞĠĢ", "G"),
    ("ĝğġģ", "g"),
    ("ĤĦ", "H"),
    ("ĥħ", "h"),
    ("ÌÍÎÏĨĪĬĮİ", "I"),
    ("ìíîïĩīĭįı", "i"),
    ("Ĵ", "J"),
    ("ĵ", "j"),
    ("Ķ", "K"),
    ("ķĸ", "k"),
    ("ĹĻĽĿŁ", "L"),
    ("ĺļľŀł", "l"),
    ("ÑŃŅŇ", "N"),
    ("ñńņňŉ", "n"),
    ("ÒÓÔÕÖØŌŎŐ", "O"),
    ("òóôõöøōŏő", "o"),
    ("Œ", "OE"),
    ("œ", "oe"),
    ("ŔŖŘ", "R"),
    ("ŕŗř", "r"),
    ("ŚŜŞŠȘ", "S"),
    ("śŝşšș", "s"),
    ("ß", "ss"),
    ("ŢŤŦȚ", "T"),
    ("ţťŧț", "t"),
    ("Þ", "Th"),
    ("þ", "th"),
    ("ÙÚÛÜŨŪŬŮŰŲ", "U"),
    ("ùúûüũūŭůűų", "u"),
    ("Ŵ", "W"),
    ("ŵ", "w"),
    ("ÝŶŸ", "Y"),
    ("ýÿŷ", "y"),
    ("ŹŻŽ", "Z"),
    ("źżž", "z"),
];

/// What was named so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names that are taken, with the number that the next one of that label begins to look with.
    taken: BTreeMap<String, u32>,
}

impl Names {
    /// The name of a node with that label, unlike all before: the label in letters of ASCII, `-` for what no name may
    /// have; `node-` and the id where nothing is left of it; with `-2`, `-3`, ... behind where it is taken.
    pub(super) fn give(&mut self, label: Option<&str>, id: &str) -> Option<DcName> {
        let label = label.filter(|label| !matches!(*label, "None" | "none")).map(plain);
        let base = label.filter(|label| !label.is_empty()).unwrap_or_else(|| {
            let id = plain(id);
            if id.is_empty() { "node".to_owned() } else { plain(&format!("node-{id}")) }
        });
        let mut name = base.clone();
        while self.taken.contains_key(&name) {
            let number = self.taken.entry(base.clone()).or_insert(2);
            name = format!("{base}-{number}");
            *number = number.saturating_add(1);
        }
        self.taken.insert(name.clone(), 2);
        DcName::parse(&name).ok()
    }
}

/// A label as a name; empty where no letter or digit is in it.
fn plain(label: &str) -> String {
    let mut name = String::new();
    for c in label.chars() {
        // Accents that stand for themselves belong to the letter before.
        if ('\u{300}'..='\u{36f}').contains(&c) {
            continue;
        }
        let folded = LETTERS.iter().find(|(letters, _)| letters.contains(c)).map(|(_, folded)| *folded);
        match folded {
            Some(folded) => name.push_str(folded),
            None if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') => name.push(c),
            None if name.ends_with('-') => {}
            None => name.push('-'),
        }
    }
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    let name = &name[..name.len().min(MAX_FROM_LABEL)];
    let name = name.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
    // What the underlay's namespaces are called.
    match name.strip_suffix(".ul") {
        Some(front) => format!("{front}-ul"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_become_names() {
        let long = "x".repeat(80);
        for (label, expected) in [
            ("Brussels", "Brussels"),
            ("New York, NY", "New-York-NY"),
            ("São Paulo", "Sao-Paulo"),
            ("Kӧln", "K-ln"),
            ("Ko\u{308}ln", "Koln"),
            ("Łódź/Gdańsk", "Lodz-Gdansk"),
            ("St. Gallen (CH)", "St.-Gallen-CH"),
            ("../etc", "etc"),
            ("a.ul", "a-ul"),
            ("a\n\u{0}b", "a-b"),
            (&long, &long[..56]),
            ("日本", ""),
            ("?", ""),
        ] {
            assert_eq!(plain(label), expected, "{label:?}");
        }
    }

    #[test]
    fn names_are_unlike() {
        let mut names = Names::default();
        let mut give = |label: Option<&str>, id: &str| names.give(label, id).unwrap().to_string();
        assert_eq!(give(Some("Bonn"), "0"), "Bonn");
        assert_eq!(give(Some("Bonn-2"), "1"), "Bonn-2");
        assert_eq!(give(Some("Bonn"), "2"), "Bonn-3");
        assert_eq!(give(Some("Bonn"), "3"), "Bonn-4");
        assert_eq!(give(Some("Bonn-2"), "4"), "Bonn-2-2");
        assert_eq!(give(None, "5"), "node-5");
        assert_eq!(give(Some("None"), "6"), "node-6");
        assert_eq!(give(Some("日本"), "n7"), "node-n7");
        assert_eq!(give(Some("??"), "??"), "node");
        assert_eq!(give(Some(""), "!"), "node-2");
        let long = "y".repeat(64);
        assert_eq!(give(Some(&long), "8").len(), 56);
        assert_eq!(give(Some(&long), "9").len(), 58);
    }
}
