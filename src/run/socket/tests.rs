//! Tests of the socket between an undo and a coordinator, also with processes that lie about their run.

use std::{
    io,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use firedrill_wire::api::UndoScope;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixListener,
    sync::mpsc,
    time::timeout,
};

use super::{
    super::{
        input::Input,
        tasks::Tasks,
        wish::{Reply, Wants, Wish},
    },
    Claim, Halted, Notified, Owner, Requested, UndoNotice,
    folders::own_folder,
    halt,
    halt::halt_in,
    listen, notify,
    notify::RunSocket,
    owners,
    protocol::{Answer, End, line},
    request,
    request::request_in,
};

fn owner(run: &str) -> Owner {
    Owner {
        run: run.parse().unwrap(),
        targets: vec!["app1".to_owned()],
        authority: "ours".to_owned(),
        claim: Claim::default(),
    }
}

fn notice(scope: UndoScope, host: &str, authority: &str) -> UndoNotice {
    let (hosts, by) = (vec![host.to_owned()], "bob".to_owned());
    UndoNotice { scope, hosts, authority: authority.to_owned(), by }
}

#[test]
fn an_undo_includes_only_runs_of_its_scope_and_its_authority() {
    let owner = owner("friday-7f3a");
    let run = |text: &str| UndoScope::Run(text.parse().unwrap());
    let injection = |text: &str| UndoScope::Injection(text.parse().unwrap());
    for (scope, host, authority, included) in [
        (run("friday-7f3a"), "other", "ours", true),
        (run("friday-7f3b"), "app1", "ours", false),
        (run("friday-7f3a"), "app1", "another's", false),
        (injection("friday-7f3a-1-12"), "app1", "ours", true),
        (injection("friday-7f3a-b-1-12"), "app1", "ours", false),
        (UndoScope::All, "app1", "ours", true),
        (UndoScope::All, "app2", "ours", false),
        (UndoScope::All, "app1", "another's", false),
    ] {
        let notice = notice(scope, host, authority);
        assert_eq!(owner.is_undone_by(&notice), included, "{notice:?}");
    }
}

#[tokio::test]
async fn a_coordinator_is_notified_and_the_socket_of_a_dead_one_is_removed() {
    let id = format!("undo-socket-{}", std::process::id());
    let (tasks, mut inbox) = Tasks::new();
    let file = listen(owner(&id), &tasks).unwrap();
    let ask = notice(UndoScope::Run(id.parse().unwrap()), "app1", "ours");
    assert_eq!(notify(&ask).await, [Notified { run: id.parse().unwrap(), other_user: None }]);
    assert!(matches!(inbox.recv().await, Some(Input::UndoneHere { by }) if by == "bob"));
    // A killed coordinator leaves the socket's file behind; no process listens on it.
    let path = file.0.clone();
    drop(file);
    tasks.end();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert_eq!(notify(&ask).await, []);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_file_never_exists_before_its_coordinator_listens() {
    let id = format!("begins-{}", std::process::id());
    let path = own_folder().unwrap().join(format!("{id}.bell"));
    let over = AtomicBool::new(false);
    let is_over = || over.load(Ordering::Relaxed);
    let refused = std::thread::scope(|scope| {
        // Connects once to each socket, as soon as its file exists.
        let asks = scope.spawn(|| {
            let mut refused = 0;
            while !is_over() {
                match std::os::unix::net::UnixStream::connect(&path) {
                    Ok(_) => while path.exists() && !is_over() {},
                    Err(error) => refused += u32::from(error.kind() == io::ErrorKind::ConnectionRefused),
                }
            }
            refused
        });
        let mut listeners = Vec::new();
        for _ in 0..300 {
            let (tasks, inbox) = Tasks::new();
            listeners.push((listen(owner(&id), &tasks).unwrap(), tasks, inbox));
            std::fs::remove_file(&path).unwrap();
        }
        over.store(true, Ordering::Relaxed);
        asks.join().unwrap()
    });
    assert_eq!(refused, 0, "a client that is refused takes the coordinator for dead, and removes its socket");
}

#[tokio::test]
async fn a_run_is_halted_by_its_id_alone() {
    let id = format!("halted-{}", std::process::id());
    let run = id.parse().unwrap();
    assert_eq!(halt(&run, "bob").await, Halted::Nowhere);
    let (tasks, mut inbox) = Tasks::new();
    let file = listen(owner(&id), &tasks).unwrap();
    let other = format!("{id}-b").parse().unwrap();
    assert_eq!(halt(&other, "bob").await, Halted::Nowhere, "another run");
    assert_eq!(halt(&run, "bob").await, Halted::Ends);
    assert!(matches!(inbox.recv().await, Some(Input::UndoneHere { by }) if by == "bob"));
    drop(inbox);
    assert_eq!(halt(&run, "bob").await, Halted::Over, "nobody reads the inbox");
    let path = file.0.clone();
    drop(file);
    tasks.end();
    let mut heard = liar(&path, owner(&format!("{id}-b"))).await;
    assert!(matches!(halt(&run, "bob").await, Halted::Silent(why) if why.contains("says that it runs")));
    assert_eq!(next(&mut heard).await, "", "nothing was sent to it");
    std::fs::remove_file(path).unwrap();
}

fn skip_wish() -> Wish {
    Wish { by: "bob".to_owned(), wants: Wants::Skip { attack: Some(1) } }
}

#[tokio::test]
async fn a_wish_reaches_the_run_and_its_reply_comes_back() {
    let id = format!("wish-{}", std::process::id());
    let run = id.parse().unwrap();
    assert_eq!(request(&run, &skip_wish()).await, Requested::Nowhere);
    let (tasks, mut inbox) = Tasks::new();
    let _file = listen(owner(&id), &tasks).unwrap();
    let replies = async {
        for reply in [Reply::Taken("it does".to_owned()), Reply::Refused("it does not".to_owned())] {
            let Some(Input::Wish { wish, tell }) = inbox.recv().await else { panic!("no wish") };
            assert_eq!(wish, skip_wish());
            tell.send(reply).unwrap();
        }
    };
    let asks = async { [request(&run, &skip_wish()).await, request(&run, &skip_wish()).await] };
    let ([taken, refused], ()) = tokio::join!(asks, replies);
    assert_eq!(taken, Requested::Replied(Reply::Taken("it does".to_owned())));
    assert_eq!(refused, Requested::Replied(Reply::Refused("it does not".to_owned())));
    drop(inbox);
    assert_eq!(request(&run, &skip_wish()).await, Requested::Replied(Reply::Over), "nobody reads the inbox");
}

#[tokio::test]
async fn a_coordinator_of_an_earlier_version_does_not_mistake_a_wish_for_an_undo() {
    let dir = tempfile::tempdir().unwrap();
    let mut heard = liar(&dir.path().join("friday-7f3a.bell"), owner("friday-7f3a")).await;
    let user = rustix::process::geteuid().as_raw();
    let folders = vec![(dir.path().to_owned(), user)];
    let result = request_in(folders, user, &"friday-7f3a".parse().unwrap(), &skip_wish()).await;
    assert!(matches!(&result, Requested::Silent(why) if why.contains("no reply to this")), "{result:?}");
    let line = next(&mut heard).await;
    assert!(line.contains("bob"), "{line}");
    assert!(
        serde_json::from_str::<End>(&line).is_err(),
        "an earlier version reads this line as an undo, and would end the run: {line}"
    );
}

#[tokio::test]
async fn another_users_answer_is_a_claim() {
    let user = rustix::process::geteuid().as_raw();
    let run = "friday-7f3a".parse().unwrap();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let paths = folders.each_ref().map(|folder| folder.path().join("friday-7f3a.bell"));
    let _heard = liar(&paths[0], owner("friday-7f3a")).await;
    let owned = || folders.each_ref().map(|folder| (folder.path().to_owned(), user)).to_vec();
    // The user `user + 1` asks: for that user, this process is a program of another user.
    assert_eq!(halt_in(owned(), user + 1, &run, "bob").await, Halted::Claimed { user, ends: true });
    assert_eq!(halt_in(owned(), user, &run, "bob").await, Halted::Ends);
    // Although the first program claims to end the run, the second is asked, too.
    let mut other = liar(&paths[1], owner("friday-7f3a")).await;
    halt_in(owned(), user + 1, &run, "bob").await;
    assert_eq!(next(&mut other).await, "", "the first connection only reads its first line");
    assert_eq!(next(&mut other).await, "{\"by\":\"bob\"}\n");
}

#[tokio::test]
async fn a_new_run_finds_the_others_and_not_itself() {
    let ids = ["a", "b"].map(|letter| format!("owners-{letter}-{}", std::process::id()));
    let found = |run: &str| {
        let run: firedrill_wire::RunId = run.parse().unwrap();
        async move {
            // Other tests of this process have sockets, too.
            let mut found = owners(&run).await;
            found.retain(|other| other.run.as_str().starts_with("owners-"));
            found
        }
    };
    let (tasks, _inbox) = Tasks::new();
    let _file = listen(owner(&ids[0]), &tasks).unwrap();
    assert_eq!(found(&ids[0]).await.len(), 0, "itself");
    let others = found(&ids[1]).await;
    assert_eq!(others.len(), 1, "{others:?}");
    assert_eq!(others[0].owner.as_ref().unwrap().targets, ["app1"]);
    assert_eq!(others[0].other_user, None);
}

/// Listens at `path` like a coordinator: sends `says` as the first line, and answers that it ends the run. Returns the lines that it
/// receives, an empty one for each connection that sends nothing.
async fn liar(path: &Path, says: Owner) -> mpsc::UnboundedReceiver<String> {
    let listener = UnixListener::bind(path).unwrap();
    let (heard, inbox) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (from, mut to) = stream.into_split();
            let _ = to.write_all(&line(&says).unwrap()).await;
            let mut received = String::new();
            let _ = BufReader::new(from).read_line(&mut received).await;
            heard.send(received).unwrap();
            let _ = to.write_all(&line(&Answer { ends: true }).unwrap()).await;
        }
    });
    inbox
}

/// Returns the next line that a [`liar`] received.
async fn next(heard: &mut mpsc::UnboundedReceiver<String>) -> String {
    timeout(Duration::from_secs(60), heard.recv()).await.expect("nobody connects").unwrap()
}

#[tokio::test]
async fn a_socket_is_believed_only_about_its_own_run_and_by_its_own_user() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("friday-7f3a.bell");
    let mut heard = liar(&path, owner("friday-7f3b")).await;
    let user = rustix::process::geteuid().as_raw();
    let ask = notice(UndoScope::All, "app1", "ours");
    let socket = RunSocket::at(path.clone(), user, &ask.scope).unwrap();
    assert!(!socket.notify(&ask).await.unwrap(), "it names another run than its file name");
    assert_eq!(next(&mut heard).await, "", "nothing was sent to it");
    // For the directory of the user `user + 1`, neither the socket nor the listening process belongs to the directory's user.
    assert!(RunSocket::at(path.clone(), user + 1, &ask.scope).is_none());
    let foreign = RunSocket { path: path.clone(), run: "friday-7f3b".parse().unwrap(), user: user + 1 };
    assert_eq!(foreign.notify(&ask).await.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(next(&mut heard).await, "", "nothing was sent to it");
    let other = UndoScope::Run("friday-7f3b".parse().unwrap());
    assert!(RunSocket::at(path.clone(), user, &other).is_none(), "not of the scope's run");
    // Even a trusted coordinator receives only the person's name, and neither hosts nor authority.
    let same = RunSocket { path: path.clone(), run: "friday-7f3b".parse().unwrap(), user };
    assert!(same.notify(&ask).await.unwrap());
    assert_eq!(next(&mut heard).await, "{\"by\":\"bob\"}\n");
    let link = dir.path().join("friday-7f3c.bell");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(RunSocket::at(link, user, &UndoScope::All).is_none(), "a symbolic link may lead anywhere");
}
