//! Causes that stores tell: few words of PostgreSQL and Redis that people know, else the code. Never a server's own text.

use std::fmt;

/// Something that a store said, or that its role says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Told {
    /// The user or the password is wrong.
    Password,
    /// The store wants a password, and the probe has none.
    PasswordWanted,
    /// The store refuses the user for another reason, or by a method that the client has not.
    Login,
    /// There is no such database.
    NoDatabase,
    /// The server has no TLS.
    NoTls,
    /// The server starts, or reads its data.
    Loading,
    /// The server is being stopped.
    Stopping,
    /// The server has as many clients as it takes.
    TooMany,
    /// The server takes no writes.
    ReadOnly,
    /// The server is a standby or a replica, and another one is wanted.
    Standby,
    /// The server is a primary or a master, and another one is wanted.
    Primary,
    /// Several servers say that they are the primary or the master.
    SeveralPrimaries,
    /// Fewer replicas than the server wants are there.
    NoReplicas,
    /// The server has lost its master, and gives no stale data.
    MasterDown,
    /// The key is another server's of the cluster.
    Moved,
    /// The cluster does not work.
    ClusterDown,
    /// The user may not do that.
    NotPermitted,
    /// No sentinel names a master.
    NoMaster,
    /// Sentinels name a master that is none of the probe's addresses.
    OtherMaster,
    /// The store did it, and warned that it may not be kept, as a synchronous wait that was cancelled does.
    Warning,
    /// The key was there before the first attempt.
    Exists,
    /// Another error, by its code in SQL.
    Sql([u8; 5]),
    /// Another error of Redis.
    Redis,
}

impl Told {
    /// Returns the words of those that have no code.
    const fn words(self) -> &'static str {
        match self {
            Self::Password => "wrong password",
            Self::PasswordWanted => "password wanted",
            Self::Login => "login refused",
            Self::NoDatabase => "no such database",
            Self::NoTls => "no tls at the server",
            Self::Loading => "starting up",
            Self::Stopping => "shutting down",
            Self::TooMany => "too many clients",
            Self::ReadOnly => "read only",
            Self::Standby => "answered by a standby",
            Self::Primary => "answered by a primary",
            Self::SeveralPrimaries => "several primaries",
            Self::NoReplicas => "too few replicas",
            Self::MasterDown => "master down",
            Self::Moved => "moved",
            Self::ClusterDown => "cluster down",
            Self::NotPermitted => "not permitted",
            Self::NoMaster => "no master by sentinels",
            Self::OtherMaster => "other master by sentinels",
            Self::Warning => "warning",
            Self::Exists => "key exists",
            Self::Sql(_) => "sql",
            Self::Redis => "redis error",
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sql(code) => write!(f, "sql {}", String::from_utf8_lossy(code)),
            other => f.write_str(other.words()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_on_probes_has_each() {
        let all = [
            Told::Password,
            Told::PasswordWanted,
            Told::Login,
            Told::NoDatabase,
            Told::NoTls,
            Told::Loading,
            Told::Stopping,
            Told::TooMany,
            Told::ReadOnly,
            Told::Standby,
            Told::Primary,
            Told::SeveralPrimaries,
            Told::NoReplicas,
            Told::MasterDown,
            Told::Moved,
            Told::ClusterDown,
            Told::NotPermitted,
            Told::NoMaster,
            Told::OtherMaster,
            Told::Warning,
            Told::Exists,
            Told::Sql(*b"42P01"),
            Told::Redis,
        ];
        let page = include_str!("../../../../docs/probes.md");
        let (_, table) = page.split_once("## Causes").expect("a table of causes");
        for told in all {
            assert!(table.contains(&format!("`{told}`")), "docs/probes.md does not explain `{told}`");
        }
    }
}
