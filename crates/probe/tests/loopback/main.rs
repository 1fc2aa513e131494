//! Probes against real servers on loopback, which misbehave on purpose.

#[cfg(test)]
mod answers;
#[cfg(test)]
mod common;
mod exec;
#[cfg(test)]
mod grpc;
mod kv;
#[cfg(test)]
mod names;
#[cfg(test)]
mod stopped;
#[cfg(test)]
mod tcp;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod writes;
