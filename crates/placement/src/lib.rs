//! Placement of deployment units on data centers.
