//! How far apart two places are, and how long light takes from one to the other in fibre.

use std::time::Duration;

/// The earth's mean radius in kilometres (IUGG).
const EARTH_RADIUS_KM: f64 = 6371.0088;
/// The speed of light in vacuum in kilometres per second (exact, by the definition of the metre).
const LIGHT_KM_PER_S: f64 = 299_792.458;
/// The share of it that light has in fibre: the usual rule of two thirds, about 5 microseconds for each kilometre.
const FIBRE: f64 = 2.0 / 3.0;

/// A place on earth in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Coordinates {
    /// From -90 (south) to 90.
    pub(super) latitude: f64,
    /// From -180 (west) to 180.
    pub(super) longitude: f64,
}

impl Coordinates {
    /// Coordinates as a file has them; `None` when they are none.
    pub(super) fn parse(latitude: &str, longitude: &str) -> Option<Self> {
        let within = |text: &str, most: f64| text.parse::<f64>().ok().filter(|it| it.abs() <= most);
        Some(Self { latitude: within(latitude, 90.0)?, longitude: within(longitude, 180.0)? })
    }
}

/// The one-way delay in microseconds over a fibre that follows the great circle between two places.
pub(super) fn delay_us(from: Coordinates, to: Coordinates) -> u64 {
    let seconds = great_circle_km(from, to) / (LIGHT_KM_PER_S * FIBRE);
    let rounded = Duration::try_from_secs_f64(seconds + 0.000_000_5).unwrap_or_default();
    u64::try_from(rounded.as_micros()).unwrap_or_default()
}

/// By the haversine formula, which is exact for near places, too.
fn great_circle_km(from: Coordinates, to: Coordinates) -> f64 {
    let [a, b] = [from, to].map(|place| place.latitude.to_radians());
    let half_sine = |degrees: f64| (degrees.to_radians() / 2.0).sin();
    let up = half_sine(to.latitude - from.latitude).powi(2);
    let across = half_sine(to.longitude - from.longitude).powi(2);
    let h = (up + a.cos() * b.cos() * across).min(1.0);
    2.0 * EARTH_RADIUS_KM * h.sqrt().asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(latitude: f64, longitude: f64) -> Coordinates {
        Coordinates { latitude, longitude }
    }

    #[test]
    fn distances_are_those_of_the_sphere() {
        let quarter = std::f64::consts::FRAC_PI_2 * EARTH_RADIUS_KM;
        for (from, to, km) in [
            (at(0.0, 0.0), at(0.0, 90.0), quarter),
            (at(90.0, 17.0), at(0.0, -120.0), quarter),
            (at(0.0, 0.0), at(0.0, 180.0), 2.0 * quarter),
            (at(0.0, 179.5), at(0.0, -179.5), quarter / 90.0),
            (at(50.0, 8.0), at(50.0, 8.0), 0.0),
        ] {
            let found = great_circle_km(from, to);
            assert!((found - km).abs() < 0.001, "{from:?} {to:?}: {found}");
        }
        // London and New York: 5570 km, as tables of distances have it.
        let found = great_circle_km(at(51.50853, -0.12574), at(40.71427, -74.00597));
        assert!((found - 5570.0).abs() < 5.0, "{found}");
    }

    #[test]
    fn light_takes_five_microseconds_for_a_kilometre() {
        let degree_km = EARTH_RADIUS_KM.to_radians();
        let us = delay_us(at(0.0, 0.0), at(0.0, 1.0));
        assert_eq!(us, 556);
        assert!((f64::from(u32::try_from(us).unwrap()) / degree_km - 5.0).abs() < 0.01);
        assert_eq!(delay_us(at(10.0, 10.0), at(10.0, 10.0)), 0);
        // The farthest that two places can be apart.
        assert_eq!(delay_us(at(90.0, 0.0), at(-90.0, 0.0)), 100_145);
    }

    #[test]
    fn what_is_no_place_on_earth_is_none() {
        for (latitude, longitude) in
            [("91", "0"), ("0", "-180.1"), ("nan", "0"), ("inf", "0"), ("", ""), ("1,5", "0")]
        {
            assert_eq!(Coordinates::parse(latitude, longitude), None, "{latitude} {longitude}");
        }
        assert_eq!(Coordinates::parse("-90", "180.0"), Some(at(-90.0, 180.0)));
    }
}
