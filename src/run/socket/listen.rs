//! The coordinator's side: a socket that is there as long as the run.

use std::{fs, io, path::PathBuf, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    super::{
        input::Input,
        tasks::Tasks,
        wish::{Reply, Wish},
    },
    folders::own_folder,
    protocol::{Answer, End, LONGEST, Message, Owner, line, read_line},
};

/// Time within which somebody says what they want.
const PATIENCE: Duration = Duration::from_secs(2);
/// Time within which the run replies to a wish, unless it is busy with questions to hosts.
pub(super) const REPLY_WITHIN: Duration = Duration::from_secs(5);

/// Removes the socket when the run is over.
pub(crate) struct SocketFile(pub(super) PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Listens until the run is over.
///
/// # Errors
/// The directory or the socket cannot be created. The run continues without a socket.
pub(crate) fn listen(owner: Owner, tasks: &Tasks) -> io::Result<SocketFile> {
    let folder = own_folder()?;
    let path = folder.join(format!("{}.bell", owner.run));
    // Between its creation and the first moment at which it listens, a socket refuses connections as that of a killed coordinator does,
    // and whoever is refused removes the file. So it gets its name once it listens.
    let new = folder.join(format!("{}.new", owner.run));
    let _stale = fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    fs::rename(&new, &path)?;
    let mail = tasks.clone();
    tasks.spawn(async move {
        loop {
            let (stream, _) = accepted(|| listener.accept()).await;
            let (owner, mail) = (owner.clone(), mail.clone());
            tokio::spawn(async move { answer(stream, &owner, &mail).await });
        }
    });
    Ok(SocketFile(path))
}

/// Accepts a connection. Most likely an error means that no descriptor is left, so it waits for some to be closed: a run can be halted as
/// long as it lasts.
async fn accepted<T, F: Future<Output = io::Result<T>>>(mut accept: impl FnMut() -> F) -> T {
    loop {
        match accept().await {
            Ok(connection) => return connection,
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn answer(stream: UnixStream, owner: &Owner, mail: &Tasks) -> io::Result<()> {
    let by = stream.peer_cred()?.uid();
    if by != 0 && by != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (from, mut to) = stream.into_split();
    let heard = async {
        to.write_all(&line(owner)?).await?;
        read_line(&mut BufReader::new(from.take(LONGEST))).await
    };
    let answer = match timeout(PATIENCE, heard).await?? {
        Message::End(End { by }) => line(&Answer { ends: mail.send(Input::UndoneHere { by }) })?,
        Message::Wish { wish } => line(&reply(wish, mail).await)?,
    };
    timeout(PATIENCE, to.write_all(&answer)).await?
}

/// Gives the run a wish, and returns its reply.
async fn reply(wish: Wish, mail: &Tasks) -> Reply {
    let (tell, told) = oneshot::channel();
    if !mail.send(Input::Wish { wish, tell }) {
        return Reply::Over;
    }
    match timeout(REPLY_WITHIN, told).await {
        Ok(reply) => reply.unwrap_or(Reply::Over),
        Err(_late) => Reply::Later,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::accepted;

    #[tokio::test]
    async fn no_descriptor_left_is_waited_for() {
        let mut tries = 0;
        let accept = || {
            tries += 1;
            std::future::ready(if tries < 4 { Err(io::ErrorKind::Other.into()) } else { Ok(tries) })
        };
        assert_eq!(accepted(accept).await, 4);
    }
}
