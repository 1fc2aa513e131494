//! The type of futures that the traits of this crate return, for answers of the program around the control room that take a while.

use std::{future::Future, pin::Pin};

/// A boxed future, which trait objects need.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
