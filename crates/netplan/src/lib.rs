//! Subnet pools, leases, published ports, E-Line and E-LAN plans.
