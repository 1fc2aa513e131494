//! MySQL's protocol against MariaDB: roles, logins, a node of a Galera cluster, and what goes wrong with them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use firedrill_wire::probe::Connection;
use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use tokio::time::Instant;

use crate::{
    DUE, LONG, at_last_of,
    programs::{self, Server, command, folder, program, run},
    said,
};

/// The provider of Galera, in Debian.
const GALERA: &str = "/usr/lib/galera/libgalera_smm.so";

/// The users of tests. Each statement has a line.
const USERS: &str = "create user drill@'%' identified by 's3cret';
grant all on *.* to drill@'%';
create database shop;
create user few@'%' identified by 's3cret';
create user locked@'%' identified by 's3cret' account lock;
create user odd@'%' identified via ed25519 using password('s3cret');
create user tls@'%' identified by 's3cret' require ssl;
create user writer@'%' identified by 's3cret';
grant all on shop.* to writer@'%';
";

/// A server and its data.
struct Maria {
    server: Server,
    data: tempfile::TempDir,
}

/// Data that was made once and is copied.
fn made() -> Option<&'static Path> {
    static MADE: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        program("mariadbd")?;
        let install = program("mariadb-install-db")?;
        let folder = folder();
        fs::write(folder.path().join("pw"), "s3cret\n").unwrap();
        fs::write(folder.path().join("other"), "other\n").unwrap();
        let mut install = command(&install, folder.path());
        install.args(["--no-defaults", "--skip-test-db", "--auth-root-authentication-method=normal"]);
        run(install.arg(format!("--datadir={}", folder.path().join("data").display())));
        let users = folder.path().join("users");
        fs::write(&users, USERS).unwrap();
        let mut once = Maria::on(folder, &[&format!("--init-file={}", users.display())]);
        once.server.stop(Signal::TERM);
        Some(once.data)
    });
    made.as_ref().map(tempfile::TempDir::path)
}

impl Maria {
    /// Starts one with data of its own; `None` where it is not installed.
    fn start(settings: &[&str]) -> Option<Self> {
        let data = folder();
        let from = made()?.join("data");
        run(command(Path::new("/bin/cp"), data.path()).arg("-r").arg(from).arg("data"));
        Some(Self::on(data, settings))
    }

    fn on(data: tempfile::TempDir, settings: &[&str]) -> Self {
        let at = programs::address(3306);
        let path = |name: &str| data.path().join(name).display().to_string();
        let mut maria = command(&program("mariadbd").unwrap(), data.path());
        maria.args(["--no-defaults", "--skip-name-resolve", "--performance-schema=OFF"]);
        maria.args(["--innodb-buffer-pool-size=16M", "--innodb-flush-method=nosync", "--port=3306"]);
        maria.args(["--plugin-load-add=auth_ed25519", "--skip-log-bin"]);
        maria.arg(format!("--datadir={}", path("data"))).arg(format!("--socket={}", path("socket")));
        maria.arg(format!("--pid-file={}", path("pid")));
        maria.arg(format!("--bind-address={}", at.ip())).args(settings);
        let log = data.path().join("log");
        let mut server = Server::start(maria, at, log.clone());
        // The port is open before that.
        server.wait("readiness", |_| {
            fs::read_to_string(&log).is_ok_and(|text| text.contains("ready for connections"))
        });
        Self { server, data }
    }

    fn json(&self, more: &str) -> String {
        of(&[&self.server.at.to_string()], more)
    }

    async fn does(&self, statement: &str) {
        assert_eq!(asked(&self.statement(statement)).await, "good", "{statement}");
    }

    fn statement(&self, text: &str) -> String {
        self.json(&format!(r#","statement":"{text}""#))
    }
}

fn secret(name: &str) -> PathBuf {
    made().unwrap().join(name)
}

fn of(addresses: &[&str], more: &str) -> String {
    let password = secret("pw");
    format!(r#"{{"address":{addresses:?},"user":"drill","password":{{"secret_file":{password:?}}}{more}}}"#)
}

fn client(json: &str, connection: Connection) -> Box<dyn firedrill_probe::client::Ask> {
    crate::client_of("mysql", json, connection)
}

async fn asked(json: &str) -> String {
    said(client(json, Connection::New).ask(DUE, Instant::now() + LONG).await)
}

async fn at_last(json: &str, what: &str) {
    at_last_of(what, async || asked(json).await).await;
}

#[tokio::test]
async fn good_answers_are_good_and_others_have_their_words() {
    let Some(one) = Maria::start(&["--max-connections=10", "--extra-max-connections=1"]) else { return };
    for (more, said) in [
        ("", "good"),
        (r#","expect":"1""#, "good"),
        (r#","expect":"2""#, "answer"),
        (r#","statement":"select null","expect":"""#, "answer"),
        (r#","statement":"select ''","expect":"""#, "good"),
        (r#","statement":"select 'a b', 2 union select 'c', 3 order by 1","expect":"a b""#, "good"),
        (r#","statement":"select 1 where 1 = 0""#, "good"),
        (r#","statement":"select 1 where 1 = 0","expect":"1""#, "answer"),
        (r#","database":"shop","statement":"select database()","expect":"shop""#, "good"),
        (r#","database":"shop","statement":"create table kept (id int primary key)""#, "good"),
        (r#","database":"shop","statement":"insert into kept values (1), (2)""#, "good"),
        (r#","database":"shop","statement":"insert into kept values (1)""#, "mysql 1062"),
        (r#","statement":"selec 1""#, "mysql 1064"),
        (r#","statement":"select 1; select 2""#, "mysql 1064"),
        (r#","statement":"select * from shop.nothing""#, "mysql 1146"),
        (r#","statement":"select repeat('x', 100000)""#, "good"),
        (r#","statement":"select length(repeat('x', 2000000))","expect":"2000000""#, "good"),
        (r#","statement":"select repeat('x', 2000000), 1","expect":"x""#, "answer"),
        (r#","statement":"select seq from shop.seq_1_to_50000","expect":"1""#, "good"),
        (r#","statement":"load data local infile '/etc/passwd' into table shop.kept""#, "mysql 4166"),
        (r#","database":"nowhere""#, "no such database"),
        (r#","role":"primary""#, "good"),
        (r#","role":"replica""#, "answered by a primary"),
        (r#","role":"synced""#, "node not synced"),
        (
            r#","tls":true,"server_name":"db","ca_file":"/etc/ssl/certs/ca-certificates.crt""#,
            "no tls at the server",
        ),
    ] {
        assert_eq!(asked(&one.json(more)).await, said, "{more}");
    }
    assert_eq!(asked(&one.json("").replace("/pw", "/other")).await, "wrong password");
    let none = format!(r#"{{"address":"{}","user":"drill"}}"#, one.server.at);
    assert_eq!(asked(&none).await, "password wanted");
    for (user, said) in
        [("few", "not permitted"), ("writer", "good"), ("locked", "login refused"), ("odd", "login refused")]
    {
        let json = one.statement("insert into shop.kept values (3)").replace("drill", user);
        assert_eq!(asked(&json).await, said, "{user}");
    }
    let revokes = one.statement("revoke all on *.* from drill@'%'");
    assert_eq!(asked(&revokes).await, "not permitted");
    let names = programs::address(3307);
    assert_eq!(asked(&of(&[&names.to_string()], "")).await, "refused");
    // A procedure has several results, of which the first one counts.
    one.does("create procedure shop.two() begin select 5; select 6; end").await;
    let two = one.json(r#","statement":"call shop.two()","expect":"5""#);
    let kept = client(&two, Connection::Reuse);
    for _ in 0..2 {
        assert_eq!(said(kept.ask(DUE, Instant::now() + LONG).await), "good");
    }

    let all: Vec<_> = (0..12).map(|_| client(&one.statement("select sleep(60)"), Connection::New)).collect();
    let until = Instant::now() + LONG;
    let holds = all.iter().map(async |one| while said(one.ask(DUE, until).await) == "too many clients" {});
    let mut held = futures_util::future::join_all(holds);
    let plain = one.json("");
    tokio::select! {
        _ = &mut held => panic!("nothing was held"),
        () = at_last(&plain, "too many clients") => {}
    }
}

#[tokio::test]
async fn a_kept_connection_is_used_again_until_the_server_ends_it() {
    let Some(one) = Maria::start(&[]) else { return };
    one.does("create table shop.seen (id int primary key)").await;
    // A second row of one connection is an error, so this is good once for each.
    let insert = one.statement("insert into shop.seen values (connection_id())");
    let until = || Instant::now() + LONG;
    let kept = client(&insert, Connection::Reuse);
    assert_eq!(said(kept.ask(DUE, until()).await), "good");
    assert_eq!(said(kept.ask(DUE, until()).await), "mysql 1062");
    // The error threw it away.
    assert_eq!(said(kept.ask(DUE, until()).await), "good");
    let last = "select max(id) into @id from shop.seen";
    one.does(&format!("begin not atomic {last}; kill @id; end")).await;
    let gone = r"select count(*) from shop.seen join information_schema.processlist using (id)";
    at_last(&one.json(&format!(r#","statement":"{gone}","expect":"0""#)), "good").await;
    assert_eq!(
        said(kept.ask(DUE, until()).await),
        "good",
        "one that was ended while it was idle is replaced"
    );
    let new = client(&insert, Connection::New);
    assert_eq!(said(new.ask(DUE, until()).await), "good");
    assert_eq!(said(new.ask(DUE, until()).await), "good");
    // Goodbye was said each time.
    let cut =
        one.json(r#","statement":"show global status like 'Aborted_clients'","expect":"Aborted_clients""#);
    assert_eq!(asked(&cut).await, "good");
    assert_eq!(asked(&one.statement("kill connection connection_id()")).await, "shutting down");
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_told() {
    let Some(primary) = Maria::start(&[]) else { return };
    let replica = Maria::start(&[]).unwrap();
    replica.does("set global read_only = 1").await;
    let alone = replica.server.at.to_string();
    let both = [alone.as_str(), &primary.server.at.to_string()];
    assert_eq!(asked(&replica.json(r#","role":"primary""#)).await, "answered by a standby");
    assert_eq!(asked(&replica.json(r#","role":"replica""#)).await, "good");
    assert_eq!(asked(&of(&both, r#","role":"primary""#)).await, "good");
    // An administrator may still write.
    let writes = replica.statement("create table shop.x (id int)").replace("drill", "writer");
    assert_eq!(asked(&writes).await, "read only");
    primary.does("create table shop.x (id int)").await;
    let transaction =
        primary.statement("begin not atomic start transaction read only; insert into shop.x values (1); end");
    assert_eq!(asked(&transaction).await, "read only");
}

#[tokio::test]
async fn encrypted_connections_check_the_name() {
    made();
    let Some(mut one) = Maria::start(&[]) else { return };
    one.server.stop(Signal::TERM);
    let key = KeyPair::generate().unwrap();
    let ca = CertificateParams::new(vec!["db.test".to_owned()]).unwrap().self_signed(&key).unwrap();
    let (cert, private) = (one.data.path().join("ca.pem"), one.data.path().join("key.pem"));
    fs::write(&cert, ca.pem()).unwrap();
    fs::write(&private, key.serialize_pem()).unwrap();
    programs::give(&private);
    let settings = [format!("--ssl-cert={}", cert.display()), format!("--ssl-key={}", private.display())];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let one = Maria::on(one.data, &settings);
    let tls = |name: &str| one.json(&format!(r#","tls":true,"server_name":"{name}","ca_file":{cert:?}"#));
    assert_eq!(asked(&tls("db.test")).await, "good");
    assert_eq!(asked(&tls("db.test").replace("drill", "tls")).await, "good");
    assert_eq!(asked(&tls("other.test")).await, "tls: certificate of another name");
    let system = r#","tls":true,"server_name":"db.test","ca_file":"/etc/ssl/certs/ca-certificates.crt""#;
    assert_eq!(asked(&one.json(system)).await, "tls: unknown issuer");
    // It is not told from a wrong password.
    assert_eq!(asked(&one.json("").replace("drill", "tls")).await, "wrong password");
    let kept = client(&tls("db.test"), Connection::Reuse);
    for _ in 0..3 {
        assert_eq!(said(kept.ask(DUE, Instant::now() + LONG).await), "good");
    }
}

#[tokio::test]
async fn a_node_that_takes_no_statements_is_told_from_a_synced_one() {
    let at = programs::address(4567).ip();
    let settings = [
        "--wsrep-on=ON".to_owned(),
        "--binlog-format=ROW".to_owned(),
        "--wsrep-cluster-address=gcomm://".to_owned(),
        format!("--wsrep-provider={GALERA}"),
        format!("--wsrep-node-address={at}"),
        format!(
            "--wsrep-provider-options=gmcast.listen_addr=tcp://{at}:4567;ist.recv_addr={at}:4568;gcache.size=16M"
        ),
    ];
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let Some(synced) = Maria::start(&settings) else { return };
    at_last(&synced.json(r#","role":"synced""#), "good").await;
    assert_eq!(asked(&synced.json(r#","role":"primary""#)).await, "good");
    synced.does("set global wsrep_desync = on").await;
    at_last(&synced.json(r#","role":"synced""#), "node not synced").await;
    assert_eq!(asked(&synced.json("")).await, "good");
    synced.does("set global wsrep_desync = off").await;
    at_last(&synced.json(r#","role":"synced""#), "good").await;
    // As one without a majority does it.
    synced.does("set global wsrep_reject_queries = all").await;
    assert_eq!(asked(&synced.statement("select * from mysql.user")).await, "node not ready");
}

#[tokio::test]
async fn a_stopped_server_is_a_time_out() {
    let Some(mut one) = Maria::start(&[]) else { return };
    let short = Duration::from_millis(500);
    one.server.signal(Signal::STOP);
    let begun = Instant::now();
    let probe = client(&one.json(""), Connection::New);
    assert_eq!(said(probe.ask(DUE, Instant::now() + short).await), "timeout");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    one.server.signal(Signal::CONT);
    assert_eq!(asked(&one.json("")).await, "good");
    let slow = client(&one.statement("select sleep(60)"), Connection::New);
    assert_eq!(said(slow.ask(DUE, Instant::now() + short).await), "timeout");
    one.server.stop(Signal::KILL);
    assert_eq!(asked(&one.json("")).await, "refused");
}
