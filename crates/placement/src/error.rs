//! Why a unit cannot be placed.

use thiserror::Error;

/// Why there is no placement.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlacementError {
    /// There is no data center at all.
    #[error("there is no data center to place units on: the topology must have at least one")]
    NoDataCenter,
    /// No algorithm has that name.
    #[error("placement algorithm {name:?} is not known: expected one of {known}")]
    UnknownAlgorithm {
        /// The name as given.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The algorithm found no place for a unit.
    #[error("no data center can take {unit}: {reason}")]
    NoPlace {
        /// The unit.
        unit: String,
        /// Why.
        reason: String,
    },
    /// The algorithm did not answer for each unit.
    #[error("the placement gave {answers} answers for {units} units, which is an error in the algorithm")]
    WrongCount {
        /// How many units there are.
        units: usize,
        /// How many answers came.
        answers: usize,
    },
    /// The algorithm answered with a data center that there is not.
    #[error("the placement put {unit} on {datacenter}, which is no data center of the topology")]
    UnknownDataCenter {
        /// The unit.
        unit: String,
        /// The answer.
        datacenter: String,
    },
}
