//! Containers on the Docker engine.
