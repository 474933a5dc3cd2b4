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
    /// No data center has room for a unit.
    #[error("no data center can take {unit}: none has the CPU and the memory free that it demands")]
    NoRoom {
        /// The unit.
        unit: String,
    },
    /// Each unit has room somewhere, but no placement was found in which all have.
    #[error("no placement of all units was found with the CPU and the memory that they demand free")]
    NoRoomTogether,
    /// There is room, but no placement was found in which links have paths.
    #[error(
        "no placement of all units was found with the CPU and the memory that they demand free, and with paths between \
         the ends of all links"
    )]
    Apart,
    /// A link has an end that is no unit of the service.
    #[error(
        "a link has an end at unit {unit}, counted from 0, and there are {units} units, which is an error of the caller"
    )]
    UnknownUnit {
        /// The position that the link says.
        unit: usize,
        /// How many units there are.
        units: usize,
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
