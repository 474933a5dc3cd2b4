//! Where the least is taken.

use crate::algorithm::Placement;
use crate::capacity::Room;
use crate::error::PlacementError;
use crate::model::{Assignment, Choice, Demand, ServiceView, Site, Unit, View};

/// `least-loaded`: each unit goes, in starting order, to the data center of which the smallest share is taken with the
/// unit in it, among those that have room for it. The share is the larger one of the shares of CPU and memory; live
/// instances count, and the units placed before. Equal shares: the fewer units, then the order of the file.
///
/// A resource that a data center does not state never runs out there. In shares it counts as the largest amount that
/// any data center states, and as 1 CPU or 1 GiB everywhere if none does: then amounts are compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct LeastLoaded;

impl Placement for LeastLoaded {
    fn place(&self, view: &View<'_>, unit: &Unit) -> Result<Choice, PlacementError> {
        let mut book = Book::new(view.sites);
        for placed in view.placed {
            if let Some(at) = view.sites.iter().position(|site| site.datacenter.name == placed.datacenter) {
                book.put(at, placed.unit.demand);
            }
        }
        book.choose(unit)
    }

    fn place_service(&self, service: &ServiceView<'_>) -> Result<Assignment, PlacementError> {
        let mut book = Book::new(service.sites);
        let choices = service.units.iter().map(|unit| book.choose(unit)).collect::<Result<_, _>>()?;
        Ok(Assignment { choices, quality: None })
    }
}

/// What is taken of the data centers.
struct Book<'a> {
    sites: &'a [Site],
    taken: Vec<Taken>,
    /// What shares are of where nothing is stated.
    reference: Demand,
}

/// What is taken of one.
struct Taken {
    load: Demand,
    units: u64,
    room: Room,
}

/// A fraction, as numerator and denominator; the latter is not 0.
#[derive(Clone, Copy)]
struct Share(u128, u128);

impl Share {
    fn new(taken: u64, of: u64) -> Self {
        match (taken, of) {
            (0, _) => Self(0, 1),
            // Something is taken of nothing: more than any share of something.
            (_, 0) => Self(u128::from(u64::MAX), 1),
            _ => Self(taken.into(), of.into()),
        }
    }

    fn cmp(self, other: Self) -> std::cmp::Ordering {
        (self.0 * other.1).cmp(&(other.0 * self.1))
    }
}

impl<'a> Book<'a> {
    fn new(sites: &'a [Site]) -> Self {
        let most = |amount: fn(&Site) -> Option<u64>, otherwise| {
            sites.iter().filter_map(amount).max().filter(|most| *most > 0).unwrap_or(otherwise)
        };
        let reference = Demand {
            cpu_milli: most(|site| site.datacenter.cpu_milli, 1000),
            memory_bytes: most(|site| site.datacenter.memory_bytes, 1 << 30),
        };
        let taken = sites
            .iter()
            .map(|site| Taken { load: site.load, units: site.units, room: Room::of(site) })
            .collect();
        Self { sites, taken, reference }
    }

    fn put(&mut self, at: usize, demand: Demand) {
        if let Some(taken) = self.taken.get_mut(at) {
            taken.load = sum(taken.load, demand);
            taken.units += 1;
            taken.room.take(demand);
        }
    }

    fn choose(&mut self, unit: &Unit) -> Result<Choice, PlacementError> {
        let sites = self.sites.iter().zip(&self.taken).enumerate();
        let shares = sites
            .filter(|(_, (_, taken))| taken.room.fits(unit.demand))
            .map(|(at, (site, taken))| (at, self.share(site, taken, unit.demand), taken.units));
        let best = shares.min_by(|(_, a, few), (_, b, many)| a.cmp(*b).then(few.cmp(many)));
        let Some((at, ..)) = best else {
            if self.sites.is_empty() {
                return Err(PlacementError::NoDataCenter);
            }
            return Err(PlacementError::NoRoom { unit: unit.name.clone() });
        };
        self.put(at, unit.demand);
        self.sites.get(at).map(Choice::new).ok_or(PlacementError::NoDataCenter)
    }

    /// The share of a data center that is taken with a further demand.
    fn share(&self, site: &Site, taken: &Taken, demand: Demand) -> Share {
        let with = sum(taken.load, demand);
        let cpu = Share::new(with.cpu_milli, site.datacenter.cpu_milli.unwrap_or(self.reference.cpu_milli));
        let capacity = site.datacenter.memory_bytes.unwrap_or(self.reference.memory_bytes);
        let memory = Share::new(with.memory_bytes, capacity);
        if cpu.cmp(memory).is_ge() { cpu } else { memory }
    }
}

fn sum(a: Demand, b: Demand) -> Demand {
    Demand {
        cpu_milli: a.cpu_milli.saturating_add(b.cpu_milli),
        memory_bytes: a.memory_bytes.saturating_add(b.memory_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::place_all;

    fn site(name: &str, cpu_milli: Option<u64>, memory_bytes: Option<u64>) -> Site {
        let mut site = Site::named(name).unwrap();
        (site.datacenter.cpu_milli, site.datacenter.memory_bytes) = (cpu_milli, memory_bytes);
        site
    }

    fn unit(cpu_milli: u64, memory_bytes: u64) -> Unit {
        Unit { demand: Demand { cpu_milli, memory_bytes }, ..Unit::named("a") }
    }

    /// Where the units go, with a check that asking for one after the other says the same.
    fn places(sites: &[Site], units: &[Unit]) -> String {
        let placed = place_all(&LeastLoaded, sites, units, 0).unwrap();
        for (count, one) in placed.iter().enumerate() {
            let view = View { sites, placed: &placed[..count], turn: 0 };
            assert_eq!(LeastLoaded.place(&view, &one.unit).unwrap().datacenter, one.datacenter);
        }
        placed.iter().map(|placed| placed.datacenter.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn shares_of_the_scarcer_resource_decide() {
        let sites = [site("small", Some(2000), Some(8)), site("large", Some(8000), Some(8))];
        assert_eq!(places(&sites, &vec![unit(1000, 0); 7]), "large large large small large large large");
        // Much CPU is free in the large one, but memory is what counts there.
        assert_eq!(places(&sites, &[unit(0, 6), unit(1000, 1)]), "small large");
        assert_eq!(places(&sites, &[unit(100, 1), unit(100, 1), unit(100, 1)]), "small large small");
    }

    #[test]
    fn live_instances_count_and_ties_go_by_units_then_by_the_file() {
        let mut sites =
            [site("a", Some(4000), None), site("b", Some(4000), None), site("c", Some(4000), None)];
        sites[0].load.cpu_milli = 1000;
        assert_eq!(places(&sites, &vec![unit(1000, 0); 3]), "b c a");
        sites[1].units = 5;
        assert_eq!(places(&sites, &vec![unit(1000, 0); 2]), "c b");
        assert_eq!(
            places(&sites, &[unit(0, 0), unit(0, 0), unit(0, 0)]),
            "c c c",
            "the fewest units of the empty ones"
        );
    }

    #[test]
    fn what_is_not_stated_counts_as_the_largest_and_never_runs_out() {
        let sites = [site("stated", Some(4000), None), site("open", None, None)];
        assert_eq!(places(&sites, &vec![unit(1500, 0); 6]), "stated open stated open open open");
        let open = [site("a", None, None), site("b", None, None)];
        assert_eq!(places(&open, &[unit(3000, 0), unit(1000, 0), unit(1000, 0), unit(0, 5)]), "a b b b");
        assert_eq!(places(&[site("none", Some(0), None), site("b", None, None)], &[unit(1, 0)]), "b");
    }

    #[test]
    fn nothing_goes_where_there_is_no_room() {
        let sites = [site("a", Some(1000), None), site("b", Some(1500), None)];
        let error = place_all(&LeastLoaded, &sites, &vec![unit(1000, 0); 3], 0).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no data center can take a: none has the CPU and the memory free that it demands"
        );
    }
}
