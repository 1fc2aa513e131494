//! Links that are cut and come back.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use firedrill::{link::LinkError, plan::model::Reach};
use firedrill_wire::identity::Role;
use futures_util::StreamExt as _;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use super::house::{HOST, House, agent, undo_all, until};

/// Starts a proxy with a switch. While the switch is off, it keeps all connections open and passes nothing on, as if a route dropped all
/// packets.
async fn proxy(to: SocketAddr) -> (SocketAddr, watch::Sender<bool>) {
    let (at, passing, _accepted) = counting_proxy(to).await;
    (at, passing)
}

/// Starts the same proxy. Also returns the number of connections that it has accepted.
async fn counting_proxy(to: SocketAddr) -> (SocketAddr, watch::Sender<bool>, watch::Receiver<usize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let passing = watch::Sender::new(true);
    let switch = passing.clone();
    let (count, accepted) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            count.send_modify(|count| *count += 1);
            let far = TcpStream::connect(to).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(pump(near_in, far_out, switch.subscribe()));
            tokio::spawn(pump(far_in, near_out, switch.subscribe()));
        }
    });
    (at, passing, accepted)
}

/// Passes bytes on while the switch is on.
async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut passing: watch::Receiver<bool>,
) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        if passing.wait_for(|passing| *passing).await.is_err()
            || to.write_all(&buffer[..count]).await.is_err()
        {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_link_is_noticed_soon_and_opened_again() {
    let house = House::new();
    let served = house.serve().await;
    let olga = house.person("olga", Role::Operator);
    let (at, passing) = proxy(served.at).await;
    let agent = agent(HOST, Reach::Tcp(at.to_string()), &olga);
    served.control.events.send_replace(1);
    let mut events = Box::pin(agent.events(0));
    events.next().await.unwrap().unwrap();
    agent.status().await.unwrap();

    passing.send_replace(false);
    let cut = Instant::now();
    // By design this takes about 2 s. A busy machine gets four times that.
    let seen = tokio::time::timeout(Duration::from_secs(8), events.next()).await;
    match seen {
        Ok(Some(Err(LinkError::Broken { why, .. }))) => assert!(why.contains("ping"), "{why}"),
        other => panic!("after {:?}: {other:?}", cut.elapsed()),
    }
    eprintln!("a cut link was seen after {:?}", cut.elapsed());
    let call = agent.status().await;
    assert!(call.as_ref().is_err_and(LinkError::passing), "{call:?}");

    passing.send_replace(true);
    agent.status().await.expect("a new connection is made by itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_whose_answer_is_lost_is_sent_again() {
    let house = House::new();
    let served = house.serve().await;
    let olga = house.person("olga", Role::Viewer);
    let (at, passing, mut accepted) = counting_proxy(served.at).await;
    let agent = agent(HOST, Reach::Tcp(at.to_string()), &olga);
    agent.status().await.unwrap();
    let before = *accepted.borrow_and_update();
    // From here on nothing arrives, so that the link breaks because no ping is answered.
    passing.send_replace(false);
    let undo = tokio::spawn(async move { agent.undo_until_answered(&undo_all()).await });
    let asks_again =
        tokio::time::timeout(Duration::from_secs(60), accepted.wait_for(|count| *count > before));
    asks_again.await.expect("it asks again").unwrap();
    passing.send_replace(true);
    let (_, again) = undo.await.unwrap().unwrap();
    assert!(again, "the undo was sent more than once");
    let taken = served.control.taken();
    assert!(taken.iter().any(|call| call.contains("undo")), "{taken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_agent_is_reached_again() {
    let house = House::new();
    let olga = house.person("olga", Role::Operator);
    let first = house.serve().await;
    let (at, route) = relay(first.at).await;
    let agent = agent(HOST, Reach::Tcp(at.to_string()), &olga);
    agent.status().await.unwrap();
    first.stop.cancel();
    until("the first server has ended", || first.task.is_finished()).await;
    let second = house.serve().await;
    route.send_replace(second.at);
    // The first call may break, if this side has not received the end of the old connection yet.
    if let Err(error) = agent.status().await {
        assert!(matches!(error, LinkError::Broken { .. }), "{error}");
        agent.status().await.expect("the second call makes a new connection");
    }
    assert!(!second.control.taken().is_empty());
}

/// Starts a relay that passes new connections to an address that can be changed.
async fn relay(to: SocketAddr) -> (SocketAddr, watch::Sender<SocketAddr>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let route = watch::Sender::new(to);
    let target = route.subscribe();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let to = *target.borrow();
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    (at, route)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_ends_in_time_with_streams_open() {
    let house = House::new();
    let served = house.serve().await;
    let agent = served.agent(&house.person("olga", Role::Viewer));
    let mut events = Box::pin(agent.events(0));
    served.control.events.send_replace(1);
    events.next().await.unwrap().unwrap();
    let idle = TcpStream::connect(served.at).await.unwrap();
    served.stop.cancel();
    until("the server has ended", || served.task.is_finished()).await;
    drop(idle);
}
