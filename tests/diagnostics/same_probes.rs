//! `check` and the prober accept the same probes.

use std::{collections::BTreeMap, time::Duration};

use firedrill::{
    fleet::FleetSource,
    plan::{Options, inspect, load},
    stores,
};
use firedrill_probe::{Anything, Spool, start_on};
use firedrill_wire::{
    Span,
    probe::{
        Addresses, Arrivals, Connection, DnsMatch, DnsProbe, DnsRecord, DnsTransport, GrpcHealthProbe,
        HttpProbe, IcmpProbe, JsonBound, JsonEquals, PostgresProbe, PostgresRole, ProbeKind, ProbeSpec,
        Rcode, RedisProbe, RedisRole, RedisSentinels, Secret, Status, Statuses, TcpProbe, TlsProbe,
    },
};
use proptest::prelude::*;

use super::{PLAIN, WIDTH};

/// Returns a scenario with a probe that no objective judges.
fn with_probe(spec: &ProbeSpec) -> String {
    #[derive(serde::Serialize)]
    struct Table<'s> {
        #[serde(flatten)]
        kind: &'s ProbeKind,
        rate: f64,
        arrivals: Arrivals,
        timeout: Span,
        connection: Connection,
    }
    let ProbeSpec { kind, rate, arrivals, timeout, connection, .. } = spec;
    let table = Table { kind, rate: *rate, arrivals: *arrivals, timeout: *timeout, connection: *connection };
    let probes = BTreeMap::from([("probes", BTreeMap::from([(&spec.name, table)]))]);
    let probes = toml::to_string(&probes).expect("prints");
    format!(
        r#"
schema = 1
name = "any"
hypothesis = "The check and the prober agree."
{probes}
[probes.users]
http = {{ url = "http://edge1/" }}
rate = 100
[objectives.users]
probe = "users"
good = "50%"
[[attack]]
name = "a"
on = "app1"
hold = "20s"
fault.host-isolate = {{}}
"#
    )
}

/// Generates mostly one of the given texts, and sometimes any other. Some of the given texts are valid.
fn one_of(texts: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop_oneof![3 => proptest::sample::select(texts).prop_map(str::to_owned), 1 => "[ -~]{0,12}"]
}

const URLS: &[&str] = &[
    "http://edge1/",
    "https://edge1",
    "http://edge1:0/",
    "http://edge1:99999/",
    "http://u:p@edge1/",
    "http://[::1]:80/",
    "http://[edge1]/",
    "http:///",
    "https://a..b/",
    "https://-a/",
    "https://1.2.3.4/",
    "http://1.2.3.400/",
    "ftp://edge1/",
    "http://edge1?a=b",
    "http://edge1/?k={key}",
    "http://{key}/",
    "http://edge1/ü",
    "http://edge1/#a",
    "HTTPS://edge1/",
    "http://e,f/",
    "https://a_b/",
];
const ADDRESSES: &[&str] =
    &["edge1:80", "edge1", "edge1:0", ":80", "[::1]:80", "::1:80", "[edge1]:80", "e f:80", "e:+80"];
const METHODS: &[&str] = &["GET", "POST", "HEAD", "CONNECT", "get", "PURGE", "", "G T"];
const HEADERS: &[&str] = &[
    "x-a",
    "X-A",
    "Host",
    "content-length",
    "Transfer-Encoding",
    "connection",
    "Authorization",
    "authorization",
    "a b",
    "",
];

fn header_map() -> impl Strategy<Value = BTreeMap<String, String>> {
    proptest::collection::btree_map(
        one_of(HEADERS),
        one_of(&["1", "", "a\nb", "\u{7f}", "ü", "k {key}"]),
        0..3,
    )
}

fn secret() -> impl Strategy<Value = Secret> {
    prop_oneof![
        Just(Secret::SecretEnv("PATH".to_owned())),
        Just(Secret::SecretEnv("FIREDRILL_NO_SUCH_VARIABLE".to_owned())),
        Just(Secret::SecretEnv("A=B".to_owned())),
        Just(Secret::SecretFile("tests/wrong/asked.toml".to_owned())),
        // A header must not have the content of this file, but a URL may.
        Just(Secret::SecretFile("tests/wrong/bell.txt".to_owned())),
        Just(Secret::SecretFile(String::new())),
    ]
}

fn status() -> impl Strategy<Value = Statuses> {
    let single = prop_oneof![
        prop_oneof![99_u16..103, 198_u16..210, 598_u16..602, any::<u16>()].prop_map(Status::Number),
        one_of(&["2xx", "5xx", "1xx", "200", ""]).prop_map(Status::Class),
    ];
    prop_oneof![
        2 => single.clone().prop_map(Statuses::One),
        1 => proptest::collection::vec(single, 0..3).prop_map(Statuses::Any),
    ]
}

fn json() -> impl Strategy<Value = Box<JsonBound>> {
    let number = || proptest::option::of((-2_i64..3).prop_map(Into::into));
    let equals = prop_oneof![
        one_of(&["ok"]).prop_map(JsonEquals::Text),
        any::<bool>().prop_map(JsonEquals::Truth),
        (-2_i64..3).prop_map(|number| JsonEquals::Number(number.into())),
    ];
    (one_of(&["/a/0", "", "a", "/~1", "/~2"]), number(), number(), proptest::option::weighted(0.3, equals))
        .prop_map(|(at, at_most, at_least, equals)| Box::new(JsonBound { at, at_most, at_least, equals }))
}

fn file() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(one_of(&["tests/wrong/asked.toml", "tests/wrong/no-such-ca.pem", ""]))
}

fn server_name() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(one_of(&["edge1", "a..b", "", "1.2.3.4", "::1", "[::1]", "-a"]))
}

fn tcp() -> impl Strategy<Value = ProbeKind> {
    let texts = (
        proptest::option::of(one_of(&["PING\r\n", "", "\u{0}"])),
        proptest::option::weighted(0.2, one_of(&["00ff", "", "0", "zz"])),
        proptest::option::of(one_of(&["+PONG", ""])),
        proptest::option::weighted(0.2, one_of(&["^220 ", "(", "", "a*", r"\p{Greek}"])),
    );
    (one_of(ADDRESSES), texts, any::<bool>(), file(), server_name()).prop_map(
        |(address, (send, send_hex, expect, matches), tls, ca_file, server_name)| {
            ProbeKind::Tcp(TcpProbe { address, send, send_hex, expect, matches, tls, ca_file, server_name })
        },
    )
}

fn tls() -> impl Strategy<Value = ProbeKind> {
    let span = proptest::option::of(proptest::sample::select(vec![Span::ZERO, Span::secs(86_400)]));
    (one_of(ADDRESSES), server_name(), file(), file(), file(), span).prop_map(
        |(address, server_name, ca_file, cert_file, key_file, expires_in)| {
            ProbeKind::Tls(TlsProbe { address, server_name, ca_file, cert_file, key_file, expires_in })
        },
    )
}

fn dns() -> impl Strategy<Value = ProbeKind> {
    use DnsRecord::{A, Aaaa, Cname, Mx, Ns, Srv, Txt};
    let record = proptest::sample::select(vec![A, Aaaa, Cname, Mx, Txt, Srv, Ns]);
    let rcode = proptest::sample::select(vec![Rcode::NoError, Rcode::NxDomain]);
    let expect = one_of(&["192.0.2.1", "::1", "a.example", "10 a", "1 2 3 a.", "", "."]);
    let matching = proptest::sample::select(vec![DnsMatch::All, DnsMatch::Any, DnsMatch::Exact]);
    (
        one_of(&["edge1", "edge1:53", "::1", "[::1]:53", "edge1:0", "", "1.2.3.400"]),
        one_of(&["a.example", "a.example.", "", ".", "192.0.2.1", "a..b", "_sip._tcp.example"]),
        record,
        rcode,
        proptest::collection::vec(expect, 0..2),
        matching,
    )
        .prop_map(|(server, name, record, rcode, expect, matching)| {
            let transport = DnsTransport::Udp;
            ProbeKind::Dns(DnsProbe { server, name, record, transport, rcode, expect, matching })
        })
}

fn icmp() -> impl Strategy<Value = ProbeKind> {
    let host = one_of(&["edge1", "::1", "[::1]", "edge1:80", "", "1.2.3.400"]);
    (host, proptest::sample::select(vec![0_u16, 15, 16, 56, 8972, 8973]))
        .prop_map(|(host, size)| ProbeKind::Icmp(IcmpProbe { host, size }))
}

fn grpc_health() -> impl Strategy<Value = ProbeKind> {
    let service = one_of(&["", "shop.v1.Checkout", "a b", "a\nb"]);
    (one_of(ADDRESSES), service, any::<bool>(), file(), server_name()).prop_map(
        |(address, service, tls, ca_file, server_name)| {
            ProbeKind::GrpcHealth(GrpcHealthProbe { address, service, tls, ca_file, server_name })
        },
    )
}

fn addresses() -> impl Strategy<Value = Addresses> {
    let several = proptest::collection::vec(one_of(ADDRESSES), 0..3).prop_map(Addresses::Several);
    prop_oneof![one_of(ADDRESSES).prop_map(Addresses::One), several]
}

fn postgres() -> impl Strategy<Value = ProbeKind> {
    let texts = (
        one_of(&["drill", "", "a\u{0}b"]),
        proptest::option::weighted(0.3, one_of(&["shop", ""])),
        one_of(&["select 1", " ", "select '\u{0}'"]),
        proptest::option::of(one_of(&["1", "", "\u{0}"])),
    );
    (addresses(), texts, proptest::option::of(secret()), any::<bool>(), file(), server_name()).prop_map(
        |(address, (user, database, statement, expect), password, tls, ca_file, server_name)| {
            let role = PostgresRole::Primary;
            ProbeKind::Postgres(PostgresProbe {
                address,
                database,
                user,
                password,
                statement,
                expect,
                role,
                tls,
                ca_file,
                server_name,
            })
        },
    )
}

fn redis() -> impl Strategy<Value = ProbeKind> {
    let sentinel = (
        one_of(&["shop", "", "a b"]),
        proptest::collection::vec(one_of(ADDRESSES), 0..2),
        proptest::option::weighted(0.3, secret()),
    );
    let sentinel = sentinel.prop_map(|(master, addresses, password)| RedisSentinels {
        master,
        addresses,
        user: password.as_ref().map(|_| "u".to_owned()),
        password,
    });
    let login = (proptest::option::weighted(0.2, one_of(&["u"])), proptest::option::weighted(0.3, secret()));
    let role = proptest::sample::select(vec![RedisRole::Any, RedisRole::Master, RedisRole::Replica]);
    let command = proptest::collection::vec(one_of(&["PING", "GET", "auth", "", "a b"]), 0..3);
    let secure = (any::<bool>(), file(), server_name());
    (addresses(), command, login, role, proptest::option::weighted(0.4, sentinel), secure).prop_map(
        |(address, command, (user, password), role, sentinel, (tls, ca_file, server_name))| {
            ProbeKind::Redis(RedisProbe {
                address,
                command,
                expect: None,
                user,
                password,
                role,
                sentinel,
                tls,
                ca_file,
                server_name,
            })
        },
    )
}

fn kind() -> impl Strategy<Value = ProbeKind> {
    let http = (
        one_of(URLS),
        one_of(METHODS),
        proptest::option::of(status()),
        (
            proptest::option::of(one_of(&["ok", ""])),
            proptest::option::weighted(0.3, one_of(&["ok|up", "(", "", r"\p{Greek}"])),
            proptest::option::weighted(0.3, json()),
            proptest::option::weighted(0.3, one_of(&["X-Request-Id", "Host", "a b", "Accept"])),
        ),
        header_map(),
        proptest::option::of(one_of(&["", "ping"])),
        proptest::option::of(secret()),
        proptest::option::of(one_of(&["tests/wrong/asked.toml", "tests/wrong/no-such-ca.pem", "tests", ""])),
        proptest::collection::btree_map(one_of(&["key", "a b"]), secret(), 0..2),
    );
    let http = http.prop_map(|(url, method, status, given, headers, body, bearer, ca_file, secrets)| {
        let (contains, matches, json, id_header) = given;
        ProbeKind::Http(HttpProbe {
            url,
            method,
            status,
            contains,
            matches,
            json,
            headers,
            id_header,
            body,
            bearer,
            ca_file,
            secrets,
        })
    });
    // The strategies are boxed, because otherwise all of them would be on the stack.
    prop_oneof![4 => http.boxed(), 1 => tcp().boxed(), 1 => tls().boxed(), 1 => dns().boxed(), 1 => icmp().boxed(), 1 => grpc_health().boxed(), 1 => postgres().boxed(), 1 => redis().boxed()]
}

fn spec() -> impl Strategy<Value = ProbeSpec> {
    let rate = prop_oneof![4 => Just(10.0), 1 => proptest::sample::select(vec![0.0, -1.0, 1e-300, 20_000.0, 20_001.0, 1e300])];
    let timeout = prop_oneof![4 => Just(1_000_000), 1 => proptest::sample::select(vec![0, 999, 1_000, 60_000_000, 60_000_001])];
    let connection = prop_oneof![Just(Connection::New), Just(Connection::Reuse)];
    (kind(), rate, timeout, connection).prop_map(|(kind, rate, timeout, connection)| ProbeSpec {
        name: "any".to_owned(),
        kind,
        rate,
        arrivals: Arrivals::Poisson,
        key: 1,
        timeout: Span::micros(timeout),
        connection,
        names: BTreeMap::new(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// A plan can be made if and only if the prober can be made. `check` may miss only errors in files that are on the machine that runs the
    /// drill.
    #[test]
    fn the_check_and_the_prober_agree(spec in spec()) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("any.toml");
        let text = with_probe(&spec);
        std::fs::write(&file, &text).expect("written");
        let fleet = FleetSource::File("scenarios/fleet.toml".into());
        let checked = inspect(&file, Some(&fleet), &[], Some(1));
        let options = Options { scenario: file, fleet, params: vec![], seed: Some(1) };
        let planned = load(&options);
        let measured = start_on(Spool::new(), vec![spec.clone()], Duration::ZERO, &Anything, stores::clients());
        let report = checked.report.render(PLAIN, WIDTH);
        prop_assert_eq!(planned.is_ok(), measured.is_ok(), "{} {:?} {}", text, measured, report);
        prop_assert!(checked.plan.is_some() || planned.is_err(), "{} {}", text, report);
        if firedrill_probe::check(&spec).is_err() {
            prop_assert!(checked.plan.is_none(), "{} {}", text, report);
            // The first four lines have no probe.
            let placed = checked.report.items().into_iter().all(|item| item.line.is_some_and(|line| line > 4));
            prop_assert!(placed, "{}", report);
        }
    }
}

#[test]
fn a_missing_token_is_a_warning_and_a_missing_authority_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token.toml");
    let mut spec = ProbeSpec {
        name: "any".to_owned(),
        kind: ProbeKind::Http(HttpProbe {
            bearer: Some(Secret::SecretFile("/no/such/token".to_owned())),
            ..HttpProbe::get("https://edge1/")
        }),
        rate: 10.0,
        arrivals: Arrivals::Poisson,
        key: 1,
        timeout: Span::secs(1),
        connection: Connection::New,
        names: BTreeMap::new(),
    };
    let fleet = FleetSource::File("scenarios/fleet.toml".into());
    let check = |spec: &ProbeSpec| {
        std::fs::write(&file, with_probe(spec)).expect("written");
        let options = Options { scenario: file.clone(), fleet: fleet.clone(), params: vec![], seed: Some(1) };
        (inspect(&file, Some(&fleet), &[], Some(1)), load(&options))
    };
    let (checked, planned) = check(&spec);
    assert!(
        checked.plan.is_some_and(|plan| plan.warnings.iter().any(|text| text.contains("/no/such/token")))
    );
    let report = planned.expect_err("no token").render(PLAIN, WIDTH);
    assert!(report.contains("error: the bearer token in file /no/such/token cannot be used"), "{report}");
    let ProbeKind::Http(http) = &mut spec.kind else { unreachable!("made as http") };
    (http.bearer, http.ca_file) = (None, Some("/no/such/ca.pem".to_owned()));
    let (checked, planned) = check(&spec);
    assert!(checked.report.failed() && planned.is_err());
}
