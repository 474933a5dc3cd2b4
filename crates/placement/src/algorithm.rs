//! What an algorithm is.

use std::collections::BTreeSet;

use crate::error::PlacementError;
use crate::model::{Assignment, Choice, Placed, Quality, ServiceView, Site, Unit, View};

/// Chooses data centers. Must be pure: the same view and unit give the same answer.
pub trait Placement: Send + Sync {
    /// Chooses the data center of one unit.
    ///
    /// # Errors
    /// When no data center can take the unit.
    fn place(&self, view: &View<'_>, unit: &Unit) -> Result<Choice, PlacementError>;

    /// Chooses the data centers of all units of a service. The default asks [`Placement::place`] for one after the
    /// other; an algorithm that looks at the links brings its own.
    ///
    /// # Errors
    /// As [`Placement::place`].
    fn place_service(&self, service: &ServiceView<'_>) -> Result<Assignment, PlacementError> {
        let mut placed = Vec::with_capacity(service.units.len());
        place_each(service.sites, service.units, &mut placed, service.turn, |view, unit| {
            self.place(view, unit)
        })?;
        let choice = |it: Placed| Choice { datacenter: it.datacenter, warning: it.warning };
        Ok(Assignment { choices: placed.into_iter().map(choice).collect(), quality: None })
    }

    /// Chooses the data center that an external service access point is joined to: an interface of the host, which
    /// takes nothing of the data center. `unit` has its [`Unit::access_point`]. The default: where the unit at the
    /// other end of its E-Line is, else where the first unit of its E-LAN is.
    ///
    /// # Errors
    /// When there is no data center.
    fn place_outside(&self, view: &View<'_>, unit: &Unit) -> Result<Choice, PlacementError> {
        let near = unit.access_point.clone().unwrap_or_default();
        let beside = view.place_of(&near.on_lines).or_else(|| view.place_of(&near.on_lans));
        match beside {
            Some(datacenter) => Ok(Choice { datacenter: datacenter.clone(), warning: None }),
            None => view.sites.first().map(Choice::new).ok_or(PlacementError::NoDataCenter),
        }
    }
}

/// Places the units of a service: what the algorithm says, checked for data centers that there are. Whether they
/// have room is asked apart: see [`overloads`](crate::overloads).
///
/// # Errors
/// The algorithm's; also when there is no data center, a link has an end that is no unit, or the algorithm answers with a
/// data center that there is not.
pub fn place_service(
    algorithm: &dyn Placement,
    service: &ServiceView<'_>,
) -> Result<(Vec<Placed>, Option<Quality>), PlacementError> {
    if service.sites.is_empty() {
        return Err(PlacementError::NoDataCenter);
    }
    service.check_links()?;
    let Assignment { choices, quality } = algorithm.place_service(service)?;
    if choices.len() != service.units.len() {
        return Err(PlacementError::WrongCount { units: service.units.len(), answers: choices.len() });
    }
    let mut answers = choices.into_iter();
    let mut placed = Vec::with_capacity(service.units.len());
    place_each(service.sites, service.units, &mut placed, service.turn, |_, _| {
        answers.next().ok_or(PlacementError::NoDataCenter)
    })?;
    Ok((placed, quality))
}

/// Places units of which no links are known. `turn` counts the units ever placed before them; the next call goes on
/// with `turn` plus the number of units.
///
/// # Errors
/// As [`place_service`].
pub fn place_all(
    algorithm: &dyn Placement,
    sites: &[Site],
    units: &[Unit],
    turn: u64,
) -> Result<Vec<Placed>, PlacementError> {
    let near = |_, _| Some(0);
    let service = ServiceView { sites, units, links: &[], delays: &near, turn };
    place_service(algorithm, &service).map(|(placed, _)| placed)
}

/// Places external service access points beside the units in `placed`, which they are near to.
///
/// # Errors
/// As [`place_all`].
pub fn place_all_outside(
    algorithm: &dyn Placement,
    sites: &[Site],
    placed: &[Placed],
    access_points: &[Unit],
    turn: u64,
) -> Result<Vec<Placed>, PlacementError> {
    let mut all = placed.to_vec();
    place_each(sites, access_points, &mut all, turn, |view, unit| algorithm.place_outside(view, unit))?;
    Ok(all.split_off(placed.len()))
}

fn place_each(
    sites: &[Site],
    units: &[Unit],
    placed: &mut Vec<Placed>,
    mut turn: u64,
    mut place: impl FnMut(&View<'_>, &Unit) -> Result<Choice, PlacementError>,
) -> Result<(), PlacementError> {
    if sites.is_empty() {
        return Err(PlacementError::NoDataCenter);
    }
    let names: BTreeSet<_> = sites.iter().map(|site| &site.datacenter.name).collect();
    for unit in units {
        let Choice { datacenter, warning } = place(&View { sites, placed, turn }, unit)?;
        if !names.contains(&datacenter) {
            return Err(PlacementError::UnknownDataCenter {
                unit: unit.name.clone(),
                datacenter: datacenter.to_string(),
            });
        }
        placed.push(Placed { unit: unit.clone(), datacenter, warning });
        turn = turn.wrapping_add(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use llcm_names::DcName;

    use super::*;

    /// What an embedder might bring: the data center with the fewest units, this instance's included.
    struct Spread;

    impl Placement for Spread {
        fn place(&self, view: &View<'_>, _unit: &Unit) -> Result<Choice, PlacementError> {
            let count = |site: &&Site| {
                let here = view.placed.iter().filter(|p| p.datacenter == site.datacenter.name).count();
                site.units + u64::try_from(here).unwrap_or(u64::MAX)
            };
            view.sites.iter().min_by_key(count).map(Choice::new).ok_or(PlacementError::NoDataCenter)
        }
    }

    struct Nowhere;

    impl Placement for Nowhere {
        fn place(&self, _view: &View<'_>, _unit: &Unit) -> Result<Choice, PlacementError> {
            Ok(Choice { datacenter: DcName::parse("elsewhere").unwrap(), warning: None })
        }
    }

    #[test]
    fn an_algorithm_of_ones_own_sees_load_and_what_was_placed() {
        let mut sites = ["dc1", "dc2"].map(|name| Site::named(name).unwrap());
        sites[0].units = 2;
        let units = ["a", "b", "c", "d"].map(Unit::named);
        let placed = place_all(&Spread, &sites, &units, 0).unwrap();
        let names: Vec<_> = placed.iter().map(|p| p.datacenter.as_str()).collect();
        assert_eq!(names, ["dc2", "dc2", "dc1", "dc2"]);
    }

    #[test]
    fn an_answer_that_is_no_data_center_is_an_error() {
        let sites = [Site::named("dc1").unwrap()];
        let error = place_all(&Nowhere, &sites, &[Unit::named("a")], 0).unwrap_err();
        assert!(matches!(error, PlacementError::UnknownDataCenter { .. }));
        assert_eq!(place_all(&Nowhere, &[], &[], 0), Err(PlacementError::NoDataCenter));
    }
}
