//! `edge`: the load balancer in front of the shop. It is HAProxy if that is installed, otherwise a small built-in load balancer. This
//! module only starts it.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{edge_config::EdgeConfig, haproxy, http, proxy};

/// The load balancer in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balancer {
    /// HAProxy, the program with this path.
    Haproxy(PathBuf),
    /// The built-in load balancer.
    BuiltIn,
}

impl Balancer {
    /// Returns HAProxy if it is in one of the usual directories, otherwise the built-in load balancer.
    #[must_use]
    pub fn find() -> Self {
        let places =
            ["/usr/local/sbin/haproxy", "/usr/sbin/haproxy", "/usr/local/bin/haproxy", "/usr/bin/haproxy"];
        let found = places.into_iter().map(PathBuf::from).find(|path| path.is_file());
        found.map_or(Self::BuiltIn, Self::Haproxy)
    }

    /// Describes the load balancer for people.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Haproxy(path) => format!("HAProxy ({})", path.display()),
            Self::BuiltIn => "the built-in load balancer (HAProxy is not installed)".into(),
        }
    }
}

/// Entry point. The arguments are `--config FILE.json [--haproxy PATH]`.
pub(crate) fn main(words: &[String]) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let read = |path: &str| {
        let json = std::fs::read(path).map_err(|e| format!("failed to read {path}: {e}"))?;
        serde_json::from_slice::<EdgeConfig>(&json).map_err(|e| format!("{path}: {e}"))
    };
    match words[..] {
        ["--config", path] => http::run("edge", async { proxy::run(read(path)?).await }),
        ["--config", path, "--haproxy", program] => {
            let failed = read(path).and_then(|config| haproxy::become_it(Path::new(program), &config));
            eprintln!("edge: {}", failed.err().unwrap_or_default());
            ExitCode::FAILURE
        }
        _ => {
            eprintln!("edge: say --config FILE, and --haproxy PATH where it is to be used");
            ExitCode::from(2)
        }
    }
}
