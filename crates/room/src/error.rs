//! The errors of the control room itself. An error of a single request is an answer (`web/answer.rs`).

use std::{io, net::SocketAddr, path::PathBuf};

/// The control room cannot start, or its state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RoomError {
    /// A file or folder cannot be used.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The operation that failed, such as `read`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Other users can enter the folder of the state.
    #[error("other users can enter {}, which has sessions and the audit log; `chmod 700` it", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
    },
    /// The folder of the state belongs to another user, who could replace all that is in it.
    #[error(
        "{} belongs to user {owner}, and this program runs as user {user}; run it as the folder's user, or name another folder by --state",
        path.display()
    )]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The number of the folder's user.
        owner: u32,
        /// The number of this program's user.
        user: u32,
    },
    /// Another control room uses the state.
    #[error("another control room uses the state in {}; stop it, or name another folder by --state", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
    /// No control room ever used the state.
    #[error("no control room has used {} yet; start one by `firedrill serve`, or name its folder by --state", path.display())]
    NoOrigin {
        /// The folder.
        path: PathBuf,
    },
    /// The database cannot be used.
    #[error("cannot use the database {}", path.display())]
    Store {
        /// Its file.
        path: PathBuf,
        /// The database's error.
        source: rusqlite::Error,
    },
    /// The database is of a later version.
    #[error("{} was written by a later version of firedrill (format {found}); this one knows formats up to {known}", path.display())]
    Later {
        /// Its file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format that is known.
        known: i64,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// A token cannot have that role.
    #[error(
        "a token cannot be an admin, because a program with it could let others in; make it for a viewer or an operator"
    )]
    TokenRole,
    /// A token cannot start these game days, for this reason.
    #[error("the token cannot start game days like that: {0}")]
    TokenStarts(String),
    /// A token cannot last for such a time.
    #[error("a token lasts from 1 minute to {most_days} days; name such a time")]
    TokenTime {
        /// The longest time, in days.
        most_days: u64,
    },
    /// Another token has the name.
    #[error("there is a token {name} already; revoke it, or choose another name")]
    TokenTaken {
        /// The name.
        name: String,
    },
    /// No token has the name.
    #[error("there is no token {name} here; `firedrill serve token list` shows all")]
    NoToken {
        /// The name.
        name: String,
    },
    /// This text is not allowed as a person's name.
    #[error("`{0}` is no name: 1 to 64 letters, digits, blanks, and `.`, `-`, `_`, `@`")]
    Name(String),
}
