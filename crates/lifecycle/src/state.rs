//! The states of an instance and the moves between them.
//!
//! ```text
//! Planned ──> Creating ──> Running <──> Degraded
//!                │            │            │
//!                v            v            v
//!            Unwinding    Terminating <────┘      Stuck ──> Terminating (tried again)
//!             │  │  │      │      │                 ^
//!             │  │  └──────│──────┴── undo failed ──┘
//!             v  v         v
//!         Failed Terminated            (both: nothing is left)
//! ```
//! What is stuck after a failed creation is tried again by itself as `Stuck -> Unwinding`, by request as
//! `Stuck -> Terminating`. `Unwinding -> Terminated` is a creation that was called off by a request to terminate. A server that was
//! killed leaves instances in `Planned`, `Creating` and `Unwinding`; the next one takes them down.

use crate::request::InstanceState;

impl InstanceState {
    /// Whether an instance may go from this state to `next`.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match self {
            Self::Planned => matches!(next, Self::Creating | Self::Unwinding | Self::Terminating),
            Self::Creating => matches!(next, Self::Running | Self::Unwinding),
            Self::Running | Self::Degraded => {
                matches!(next, Self::Running | Self::Degraded | Self::Terminating) && next != self
            }
            Self::Unwinding => matches!(next, Self::Failed | Self::Terminated | Self::Stuck),
            Self::Terminating => matches!(next, Self::Terminated | Self::Stuck),
            Self::Stuck => matches!(next, Self::Terminating | Self::Unwinding),
            Self::Terminated | Self::Failed => false,
        }
    }

    /// Whether the instance holds, or may hold, containers, links, names, ports and addresses.
    #[must_use]
    pub fn is_live(self) -> bool {
        !matches!(self, Self::Terminated | Self::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use InstanceState::{
        Creating, Degraded, Failed, Planned, Running, Stuck, Terminated, Terminating, Unwinding,
    };

    const ALL: [InstanceState; 9] =
        [Planned, Creating, Running, Degraded, Terminating, Unwinding, Stuck, Terminated, Failed];

    #[test]
    fn every_live_state_leads_to_an_end_and_no_end_leads_on() {
        for state in ALL {
            let mut reached = vec![state];
            let mut index = 0;
            while index < reached.len() {
                let from = reached[index];
                reached.extend(ALL.into_iter().filter(|next| from.may_become(*next)));
                reached.dedup();
                if reached.len() > 200 {
                    break;
                }
                index += 1;
            }
            assert!(reached.contains(&Terminated) || !state.is_live(), "{state:?} cannot end");
            if !state.is_live() {
                assert!(ALL.iter().all(|next| !state.may_become(*next)), "{state:?} is an end");
            }
            assert!(!state.may_become(state));
        }
    }

    #[test]
    fn only_a_stuck_instance_is_taken_down_twice() {
        let again: Vec<_> = ALL.into_iter().filter(|state| state.may_become(Terminating)).collect();
        assert_eq!(again, [Planned, Running, Degraded, Stuck]);
    }
}
