//! Judges objectives of alerts: whether people were told of a fault, and that it was over. Only from the log's polls of the source.

mod verdict;
mod watch;

#[cfg(test)]
mod tests;
