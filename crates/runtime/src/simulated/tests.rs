//! Behaviour of the simulation beyond the contract: faults, latencies, crashes.
