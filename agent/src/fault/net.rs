//! What faults on traffic share: who the peers are, what is never touched, and the rules themselves.

pub mod peers;
pub mod rules;
pub mod table_fault;
