//! The configuration file: its defaults, its errors, and the example that packages ship.

use super::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("agent.toml"))
}

#[test]
fn an_empty_file_is_a_whole_configuration() {
    let config = parse("").unwrap();
    assert_eq!(config.listen.port(), DEFAULT_PORT);
    assert!(!config.host.is_empty() && !config.ssh_ports.is_empty() && config.metrics.is_none());
}

#[test]
fn a_full_file_is_read() {
    let config = parse(
        r#"
        host = "web-1"
        listen = "10.0.0.1:7790"
        cert = "/c"
        key = "/k"
        ca = "/a"
        crl = "/r"
        ssh_ports = [22, 2222]
        firewall = "iptables"
        [paths]
        state = "/s"
        run = "/r"
        [timings]
        start_tolerance = "100ms"
        [metrics]
        listen = "127.0.0.1:9791"
        [policy]
        max_hold = "10m"
        "#,
    )
    .unwrap();
    assert_eq!(config.timings.start_tolerance, Span::millis(100));
    assert_eq!(config.paths().state, Path::new("/s"));
    assert_eq!(config.host().firewall, Firewall::Iptables);
    assert_eq!(config.metrics, Some(MetricsAt::Listen("127.0.0.1:9791".parse().unwrap())));
    assert_eq!(config.policy.max_hold, Span::secs(600));
}

#[test]
fn the_shipped_example_names_the_built_in_values() {
    let example = include_str!("../../../packaging/agent.toml");
    let shipped = Config { text: String::new(), ..parse(example).unwrap() };
    assert_eq!(shipped, parse("").unwrap());
    // All settings in the example are comments. Without their `# ` it is still a valid configuration.
    let enabled: String = example
        .lines()
        .filter_map(|line| {
            let line = line.strip_prefix("# ").unwrap_or(line);
            let setting =
                line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
            // Comments that explain a value stand several spaces to its right.
            setting.then(|| line.split("      ").next().unwrap_or(line).to_owned() + "\n")
        })
        .collect();
    let config = parse(&enabled).unwrap_or_else(|error| panic!("{error}\n{enabled}"));
    assert_eq!((config.policy.allow.len(), config.policy.blackout.len()), (2, 1));
    let built_in = parse("").unwrap();
    assert_eq!(
        (config.timings, config.paths(), config.listen),
        (built_in.timings, built_in.paths(), built_in.listen)
    );
    assert_eq!((config.cert, config.key, config.ca), (built_in.cert, built_in.key, built_in.ca));
}

#[test]
fn errors_name_the_file_the_line_and_the_key() {
    let error = parse("\n\nlissten = \"1\"\n").unwrap_err().to_string();
    assert!(error.contains("agent.toml") && error.contains("line 3") && error.contains("lissten"), "{error}");
    let error = parse("[metrics]\nlisten = \"0.0.0.0:1\"").unwrap_err().to_string();
    assert!(error.contains("loopback"), "{error}");
    let error = parse("[timings]\nundo_budget = \"5s\"").unwrap_err().to_string();
    assert!(error.contains("undo_budget"), "{error}");
    assert!(parse("[policy]\nmax_holdd = \"1s\"").is_err());
}

#[test]
fn ports_are_read_from_the_configuration_of_sshd() {
    assert_eq!(
        ports_in("#Port 1\nPort 22\nport=2222\nListenAddress 10.0.0.1:23\nListenAddress ::\n"),
        [22, 2222, 23]
    );
}
