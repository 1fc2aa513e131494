//! The coordinator's side: a socket that is there as long as the run.

use std::{fs, io, path::PathBuf, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    time::timeout,
};

use super::{
    super::{input::Input, tasks::Tasks},
    folders::own_folder,
    protocol::{Answer, End, LONGEST, Owner, line, read_line},
};

/// Time within which an undo says who asked for it.
const PATIENCE: Duration = Duration::from_secs(2);

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
        while let Ok((stream, _)) = listener.accept().await {
            let (owner, mail) = (owner.clone(), mail.clone());
            tokio::spawn(async move { timeout(PATIENCE, answer(stream, &owner, &mail)).await });
        }
    });
    Ok(SocketFile(path))
}

async fn answer(stream: UnixStream, owner: &Owner, mail: &Tasks) -> io::Result<()> {
    let by = stream.peer_cred()?.uid();
    if by != 0 && by != rustix::process::geteuid().as_raw() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let (from, mut to) = stream.into_split();
    to.write_all(&line(owner)?).await?;
    let end: End = read_line(&mut BufReader::new(from.take(LONGEST))).await?;
    let ends = mail.send(Input::UndoneHere { by: end.by });
    to.write_all(&line(&Answer { ends })?).await
}
