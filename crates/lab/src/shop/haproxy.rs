//! Runs HAProxy with a configuration that makes it behave like the built-in load balancer. Never supervises it.

use std::{
    convert::Infallible, fmt::Write as _, fs, os::unix::process::CommandExt as _, path::Path,
    process::Command,
};

use super::edge_config::EdgeConfig;

/// Path of HAProxy's configuration in the host.
const FILE: &str = "/run/haproxy.cfg";

/// Writes HAProxy's configuration and replaces this process with HAProxy. Returns only on an error.
pub(super) fn become_it(program: &Path, config: &EdgeConfig) -> Result<Infallible, String> {
    fs::write(FILE, configuration(config)).map_err(|e| format!("failed to write {FILE}: {e}"))?;
    println!("edge: {} with {FILE}", program.display());
    // -db keeps HAProxy in the foreground, so that the supervisor's signals reach it.
    let error = Command::new(program).args(["-db", "-f", FILE]).exec();
    Err(format!("failed to run {}: {error}", program.display()))
}

/// Returns the content of HAProxy's configuration file. It needs HAProxy 2.2 or newer.
pub(super) fn configuration(config: &EdgeConfig) -> String {
    let EdgeConfig { port, interval_ms, check_timeout_ms, connect_timeout_ms, try_timeout_ms, .. } = config;
    let mut text = format!(
        "global\n    maxconn 4000\n\ndefaults\n    mode http\n    option http-keep-alive\n    \
         timeout connect {connect_timeout_ms}ms\n    timeout server {try_timeout_ms}ms\n    timeout client 30s\n    \
         timeout check {check_timeout_ms}ms\n"
    );
    if config.health_check {
        text.push_str("    retries 1\n    option redispatch 1\n    retry-on conn-failure empty-response\n");
    } else {
        text.push_str("    retries 0\n");
    }
    let _ = write!(
        text,
        "\nfrontend shop\n    bind :::{port} v4v6\n    \
         http-request return status 200 content-type application/json string '{{\"balancer\":\"haproxy\"}}' \
         if {{ path /_edge/status }}\n    default_backend apps\n\nbackend apps\n    balance roundrobin\n"
    );
    if config.health_check {
        let _ = write!(
            text,
            "    option httpchk GET /health\n    default-server check inter {interval_ms}ms fall {} rise {} \
             observe layer4 error-limit 1 on-error mark-down\n",
            config.fall, config.rise
        );
    }
    for backend in &config.backends {
        let _ = writeln!(text, "    server {} {}", backend.name, backend.address);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shop::Backend;

    #[test]
    fn without_health_checks_there_are_no_retries_either() {
        let backend = Backend { name: "app1".into(), address: ([10, 77, 1, 11], 8080).into() };
        let good = EdgeConfig::new(80, vec![backend]);
        let text = configuration(&good);
        for part in [
            "option httpchk GET /health",
            "inter 500ms fall 2 rise 2",
            "retries 1",
            "server app1 10.77.1.11:8080",
        ] {
            assert!(text.contains(part), "{part} missing in:\n{text}");
        }
        let text = configuration(&EdgeConfig { health_check: false, ..good });
        assert!(
            !text.contains("check inter") && !text.contains("httpchk") && text.contains("retries 0"),
            "{text}"
        );
    }
}
