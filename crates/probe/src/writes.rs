//! Writes of numbered records to stores.

pub mod store;
