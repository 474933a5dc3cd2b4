//! As a table says.

use std::collections::BTreeMap;

use crate::algorithm::Placement;
use crate::error::PlacementError;
use crate::first::First;
use crate::model::{Choice, Unit, View};

/// `static`: a table from container names (SSIID included) to data centers. A unit that the table does not
/// name, or names a data center for that there is not, goes to the first one, with a warning.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    table: BTreeMap<String, String>,
}

impl Fixed {
    /// The algorithm for a table.
    #[must_use]
    pub fn new(table: BTreeMap<String, String>) -> Self {
        Self { table }
    }
}

impl Placement for Fixed {
    fn place(&self, view: &View<'_>, unit: &Unit) -> Result<Choice, PlacementError> {
        let wanted = self.table.get(&unit.name);
        let found = wanted.and_then(|dc| view.sites.iter().find(|site| site.datacenter.name.as_str() == dc));
        if let Some(site) = found {
            return Ok(Choice::new(site));
        }
        let mut choice = view.sites.first().map(Choice::new).ok_or(PlacementError::NoDataCenter)?;
        let first = &choice.datacenter;
        choice.warning = Some(match wanted {
            Some(dc) => {
                format!("the static placement puts {} on {dc}, which there is not: {first} taken", unit.name)
            }
            None => format!("the static placement does not name {}: {first} taken", unit.name),
        });
        Ok(choice)
    }

    /// One that the table does not name stays beside its neighbours, which is no reason for a warning.
    fn place_outside(&self, view: &View<'_>, unit: &Unit) -> Result<Choice, PlacementError> {
        if self.table.contains_key(&unit.name) {
            self.place(view, unit)
        } else {
            First.place_outside(view, unit)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::place_all;
    use crate::model::Site;

    #[test]
    fn what_the_table_does_not_settle_goes_to_the_first_with_a_warning() {
        let table = [("a.x.0", "dc2"), ("b.x.0", "us-east1")]
            .map(|(unit, dc)| (unit.to_owned(), dc.to_owned()))
            .into();
        let sites = ["dc1", "dc2"].map(|name| Site::named(name).unwrap());
        let units = ["a.x.0", "b.x.0", "c.x.0"].map(Unit::named);
        let placed = place_all(&Fixed::new(table), &sites, &units, 7).unwrap();
        let text: Vec<_> = placed
            .iter()
            .map(|p| format!("{} {}", p.datacenter, p.warning.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(
            text,
            [
                "dc2 -",
                "dc1 the static placement puts b.x.0 on us-east1, which there is not: dc1 taken",
                "dc1 the static placement does not name c.x.0: dc1 taken",
            ]
        );
    }
}
