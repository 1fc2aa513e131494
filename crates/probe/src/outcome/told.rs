//! Causes that stores tell: few words of PostgreSQL, MySQL and Redis that people know, else the code. Never a server's own text.

use std::fmt;

/// Generates the causes and their words.
macro_rules! told {
    ($($(#[$about:meta])* $name:ident: $words:literal;)*) => {
        /// Something that a store said, or that its role says.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Told {
            $($(#[$about])* $name,)*
            /// Another error of PostgreSQL, by its code.
            Sql([u8; 5]),
            /// Another error of MySQL or MariaDB, by its number.
            Mysql(u16),
        }

        impl fmt::Display for Told {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name => f.write_str($words),)*
                    Self::Sql(code) => write!(f, "sql {}", String::from_utf8_lossy(code)),
                    Self::Mysql(number) => write!(f, "mysql {number}"),
                }
            }
        }

        /// All but those that have a server's number. Write records keep their places here, so a new one stands at the end.
        pub(super) const ALL: &[Told] = &[$(Told::$name,)*];
    };
}

told! {
    /// The user or the password is wrong.
    Password: "wrong password";
    /// The store wants a password, and the probe has none.
    PasswordWanted: "password wanted";
    /// The store refuses the user for another reason, or wants a method that the client does not have.
    Login: "login refused";
    /// There is no such database.
    NoDatabase: "no such database";
    /// The server has no TLS.
    NoTls: "no tls at the server";
    /// The login, or the server, wants TLS.
    TlsWanted: "tls wanted";
    /// The server starts, or reads its data.
    Loading: "starting up";
    /// The server is being stopped.
    Stopping: "shutting down";
    /// The server has as many clients as it takes.
    TooMany: "too many clients";
    /// The server takes no writes.
    ReadOnly: "read only";
    /// The server is a standby or a replica, and another one is wanted.
    Standby: "answered by a standby";
    /// The server is a primary or a master, and another one is wanted.
    Primary: "answered by a primary";
    /// The node of the cluster takes no statements, because it is not among the majority or has no data yet.
    NotReady: "node not ready";
    /// The node of the cluster is not synced, or there is no cluster.
    NotSynced: "node not synced";
    /// Fewer replicas than the server wants are there.
    NoReplicas: "too few replicas";
    /// The server has lost its master, and gives no stale data.
    MasterDown: "master down";
    /// The key belongs to another server of the cluster.
    Moved: "moved";
    /// The cluster does not work.
    ClusterDown: "cluster down";
    /// The user may not do that.
    NotPermitted: "not permitted";
    /// No sentinel names a master.
    NoMaster: "no master by sentinels";
    /// Sentinels name a master that is none of the probe's addresses.
    OtherMaster: "other master by sentinels";
    /// Another error of Redis.
    Redis: "redis error";
    /// The store carried out the write and warned. It does so where a wait for a synchronous standby is cancelled.
    Warning: "warning";
    /// The key was there before the first attempt.
    Exists: "key exists";
    /// Several servers say that they are the primary or the master.
    SeveralPrimaries: "several primaries";
}

#[cfg(test)]
mod tests {
    use super::{ALL, Told};

    #[test]
    fn the_page_on_probes_has_each() {
        let page = include_str!("../../../../docs/probes.md");
        let (_, table) = page.split_once("## Causes").expect("a table of causes");
        for told in ALL.iter().chain(&[Told::Sql(*b"42P01")]) {
            assert!(table.contains(&format!("`{told}`")), "docs/probes.md does not explain `{told}`");
        }
    }
}
