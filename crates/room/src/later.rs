//! Answers of the program around the control room that take a while.

use std::{future::Future, pin::Pin};

/// A future that a trait of this crate returns.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
