//! Shapes that templates have: how many data centers and links, what they are called, and who is joined to whom.

/// A shape, its sizes checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each is joined to the next, and the last to the first.
    Ring { count: u64 },
    /// The first is joined to all others.
    Star { count: u64 },
    /// Each is joined to each.
    Mesh { count: u64 },
    /// Level by level; each but those of the last level to `fanout` of the next.
    Tree { fanout: u64, depth: u64 },
    /// Row by row; each to its neighbours in its row and its column.
    Grid { rows: u64, columns: u64 },
}

impl Shape {
    /// The keys of all shapes.
    pub(crate) const ALL_KEYS: [&'static str; 5] = ["count", "fanout", "depth", "rows", "columns"];

    /// The keys of a shape's sizes; `None`: there is no such shape.
    pub(crate) fn keys(name: &str) -> Option<&'static [&'static str]> {
        match name {
            "ring" | "star" | "mesh" => Some(&["count"]),
            "tree" => Some(&["fanout", "depth"]),
            "grid" => Some(&["rows", "columns"]),
            _ => None,
        }
    }

    /// The shape of that name with the sizes of its keys.
    ///
    /// # Errors
    /// When it is too small to be one.
    pub(crate) fn new(name: &str, sizes: &[u64]) -> Result<Self, &'static str> {
        match (name, sizes) {
            ("ring", &[count]) if count >= 3 => Ok(Self::Ring { count }),
            ("ring", _) => Err("a ring has at least 3 data centers"),
            ("star", &[count]) if count >= 2 => Ok(Self::Star { count }),
            ("star", _) => Err("a star has at least 2 data centers, its centre among them"),
            ("mesh", &[count]) if count >= 2 => Ok(Self::Mesh { count }),
            ("mesh", _) => Err("a mesh has at least 2 data centers"),
            ("tree", &[fanout, depth]) => Ok(Self::Tree { fanout, depth }),
            ("grid", &[rows, columns]) if rows > 1 || columns > 1 => Ok(Self::Grid { rows, columns }),
            _ => Err("a grid has at least 2 data centers"),
        }
    }

    /// How many data centers and links; `None`: more than can be counted.
    pub(crate) fn size(self) -> Option<(u64, u64)> {
        match self {
            Self::Ring { count } => Some((count, count)),
            Self::Star { count } => Some((count, count.checked_sub(1)?)),
            Self::Mesh { count } => Some((count, count.checked_mul(count.checked_sub(1)?)? / 2)),
            Self::Tree { fanout, depth } => {
                let mut level = 1_u64;
                let mut count = 1_u64;
                for _ in 0..depth {
                    level = level.checked_mul(fanout)?;
                    count = count.checked_add(level)?;
                }
                Some((count, count - 1))
            }
            Self::Grid { rows, columns } => {
                let across = rows.checked_mul(columns.checked_sub(1)?)?;
                let down = columns.checked_mul(rows.checked_sub(1)?)?;
                Some((rows.checked_mul(columns)?, across.checked_add(down)?))
            }
        }
    }

    /// What follows the prefix in the name of a data center, counted from 0: `1`, `2`, ...; in a grid `1.1` for row and
    /// column.
    pub(crate) fn suffix(self, index: u64) -> String {
        match self {
            Self::Grid { columns, .. } => format!("{}.{}", index / columns + 1, index % columns + 1),
            _ => (index + 1).to_string(),
        }
    }

    /// Who is joined to whom, counted from 0, in the order of the first ends. Not to be asked of a shape whose size is
    /// too large.
    pub(crate) fn edges(self) -> Vec<(usize, usize)> {
        let Some((count, _)) = self.size() else { return Vec::new() };
        let edges: Vec<(u64, u64)> = match self {
            Self::Ring { .. } => (0..count).map(|here| (here, (here + 1) % count)).collect(),
            Self::Star { .. } => (1..count).map(|leaf| (0, leaf)).collect(),
            Self::Mesh { .. } => {
                (0..count).flat_map(|from| (from + 1..count).map(move |to| (from, to))).collect()
            }
            Self::Tree { fanout, .. } => (1..count).map(|child| ((child - 1) / fanout, child)).collect(),
            Self::Grid { rows, columns } => {
                let at = move |row: u64, column: u64| row * columns + column;
                let all = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
                let joined = all.flat_map(|(row, column)| {
                    let right = (column + 1 < columns).then(|| (at(row, column), at(row, column + 1)));
                    let below = (row + 1 < rows).then(|| (at(row, column), at(row + 1, column)));
                    right.into_iter().chain(below)
                });
                joined.collect()
            }
        };
        let index = |number: u64| usize::try_from(number).ok();
        edges.into_iter().filter_map(|(from, to)| Some((index(from)?, index(to)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(name: &str, sizes: &[u64]) -> Shape {
        Shape::new(name, sizes).unwrap()
    }

    #[test]
    fn as_many_as_their_size_says() {
        for (shape, size) in [
            (shape("ring", &[3]), (3, 3)),
            (shape("star", &[2]), (2, 1)),
            (shape("star", &[9]), (9, 8)),
            (shape("mesh", &[2]), (2, 1)),
            (shape("mesh", &[10]), (10, 45)),
            (shape("tree", &[1, 4]), (5, 4)),
            (shape("tree", &[3, 2]), (13, 12)),
            (shape("grid", &[1, 2]), (2, 1)),
            (shape("grid", &[3, 4]), (12, 17)),
        ] {
            assert_eq!(shape.size(), Some(size), "{shape:?}");
            let sites: std::collections::BTreeSet<_> = (0..size.0).map(|index| shape.suffix(index)).collect();
            let links = shape.edges();
            assert_eq!((sites.len() as u64, links.len() as u64), size, "{shape:?}");
            let mut unique: Vec<_> = links.iter().map(|&(a, b)| (a.min(b), a.max(b))).collect();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), links.len(), "{shape:?}");
            assert!(links.iter().all(|&(a, b)| a != b && a < sites.len() && b < sites.len()), "{shape:?}");
        }
    }

    #[test]
    fn who_is_joined_to_whom() {
        assert_eq!(shape("ring", &[3]).edges(), [(0, 1), (1, 2), (2, 0)]);
        assert_eq!(shape("tree", &[2, 2]).edges(), [(0, 1), (0, 2), (1, 3), (1, 4), (2, 5), (2, 6)]);
        assert_eq!(shape("grid", &[2, 2]).edges(), [(0, 1), (0, 2), (1, 3), (2, 3)]);
        let grid = shape("grid", &[2, 3]);
        assert_eq!([0, 2, 3, 5].map(|index| grid.suffix(index)), ["1.1", "1.3", "2.1", "2.3"]);
        assert_eq!(shape("ring", &[3]).suffix(2), "3");
    }

    #[test]
    fn what_is_too_large_is_not_counted() {
        assert_eq!(shape("tree", &[4096, 4096]).size(), None);
        assert_eq!(shape("tree", &[2, 64]).size(), None);
        assert!(shape("tree", &[1, 4096]).size().is_some());
        for (name, sizes) in [("ring", [2]), ("star", [1]), ("mesh", [1])] {
            assert!(Shape::new(name, &sizes).is_err(), "{name}");
        }
        assert!(Shape::new("grid", &[1, 1]).is_err());
    }
}
