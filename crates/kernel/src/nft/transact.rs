//! Sends transactions to nf_tables. The kernel applies a transaction as a whole or not at all. A table that does not fit into one datagram
//! needs several. Never decides about the content of a transaction.

use firedrill_netlink::{NetlinkError, Reason, Request, Socket};

use super::{
    message::{self, Kind},
    requests::delete,
    table::Table,
};

/// Size in bytes up to which a socket's default buffer is large enough.
const USUAL_ROOM: usize = 100_000;

/// Whether a request adds elements to a set.
pub(super) fn is_elements(request: &Request) -> bool {
    request.kind.to_be_bytes()[1] == Kind::NewElements as u8
}

/// Returns an upper bound of the size of these requests in a datagram, in bytes.
pub(super) fn size(requests: &[Request]) -> usize {
    requests.iter().map(|request| request.body.len() + 20).sum()
}

/// Enlarges the socket's buffer for `wanted` bytes, as far as allowed. Returns the size of a datagram that it then accepts, in bytes.
pub(super) fn room(socket: &Socket, wanted: usize) -> usize {
    if wanted < USUAL_ROOM { USUAL_ROOM } else { socket.room_for(wanted + 1000).saturating_sub(200) }
}

/// Makes a table, by several transactions if its messages do not fit into one datagram of at most `room` bytes. After a failure nothing is
/// left.
pub(super) fn put(
    socket: &mut Socket,
    what: &str,
    table: &Table,
    material: Vec<Request>,
    effect: Vec<Request>,
    room: usize,
) -> Result<(), NetlinkError> {
    if size(&material) + size(&effect) <= room {
        return transact(socket, what, [material, effect].concat(), true);
    }
    let in_parts = |socket: &mut Socket, begun: &mut bool| {
        let mut part = Vec::new();
        for request in material {
            if !part.is_empty() && size(&part) + request.body.len() + 20 > room {
                transact(socket, what, std::mem::take(&mut part), true)?;
                *begun = true;
            }
            part.push(request);
        }
        transact(socket, what, part, true)?;
        *begun = true;
        transact(socket, what, effect, true)
    };
    let mut begun = false;
    let result = in_parts(socket, &mut begun);
    if result.is_err() && begun {
        // The existing part is deleted; it has no chains, so it has no effect. Errors are ignored: the first error is the cause.
        for of in table.families() {
            let _ = transact(socket, what, vec![delete(what, of.number(), &table.name)?], true);
        }
    }
    result
}

/// Sends one transaction. Without `commit`, the kernel checks the whole transaction and applies nothing.
pub(super) fn transact(
    socket: &mut Socket,
    what: &str,
    requests: Vec<Request>,
    commit: bool,
) -> Result<(), NetlinkError> {
    let last = requests.len();
    let mut batch = vec![message::begin()];
    batch.extend(requests);
    if commit {
        batch.push(message::end());
    }
    let answers = socket.batch(what, &batch, last)?;
    let acknowledged = answers.iter().any(|(position, answer)| *position == last && answer.is_ok());
    // The first error is the cause; later ones are often its consequences.
    match answers.into_iter().find_map(|(_, answer)| answer.err()) {
        Some(error) => Err(error),
        None if acknowledged => Ok(()),
        None => Err(NetlinkError {
            what: what.to_owned(),
            reason: Reason::Nonsense("the transaction was not acknowledged".to_owned()),
        }),
    }
}
