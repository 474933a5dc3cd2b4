//! E-Lines, E-LANs and data center links as Linux kernel objects, by netlink.
