//! The part of the configuration that says what is allowed on this host. A running agent applies changes of this part at once.

use std::path::Path;

use firedrill_wire::{
    api::{Finding, Grade},
    identity::check_name,
};

use super::{Config, log_dirs};
use crate::{policy::Policy, secrets::Secrets};

/// The keys of the file that make up [`Rules`].
pub(super) const KEYS: [&str; 3] = ["environment", "policy", "secrets"];

/// The environment, the policy and the readable secrets of a host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// The environment to which the host belongs.
    pub environment: Option<String>,
    /// The policy.
    pub policy: Policy,
    /// The files and variables that probes may read.
    pub secrets: Secrets,
}

impl Rules {
    /// Returns the rules of a configuration.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            environment: config.environment.clone(),
            policy: config.policy.clone(),
            secrets: config.secrets.clone(),
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// The first invalid value, with the valid ones.
    pub(super) fn validate(&self) -> Result<(), String> {
        if let Some(name) = &self.environment {
            check_name(name).map_err(|error| {
                format!("environment = \"{name}\": {error}; certificates name environments in the same way")
            })?;
        }
        self.secrets.validate()?;
        self.policy.validate()
    }

    /// Returns the findings for `doctor`: whether the host names its environment, and whether the directories of
    /// secrets and of logs are safe.
    #[must_use]
    pub fn findings(&self, file: &Path) -> Vec<Finding> {
        let mut findings = vec![self.environment_finding(file)];
        findings.extend(self.secrets.findings(file));
        findings.extend(log_dirs::findings(&self.policy.logs, file));
        findings
    }

    /// Returns the finding on the host's environment. Without an environment, rules for certain environments match nobody.
    fn environment_finding(&self, file: &Path) -> Finding {
        let unused: Vec<&str> = self
            .policy
            .allow
            .iter()
            .filter(|rule| !rule.environments.is_empty())
            .map(|rule| rule.name.as_str())
            .collect();
        let (grade, detail, hint) = match &self.environment {
            Some(name) => (Grade::Good, format!("{name}, as {} says", file.display()), String::new()),
            None => {
                let mut detail =
                    "the host names no environment: only certificates that name none may harm it, whatever scenarios say"
                        .to_owned();
                if !unused.is_empty() {
                    detail += &format!("; nobody matches policy.allow {}", unused.join(", "));
                }
                let hint = format!("set environment = \"…\" in {}, for example \"prod\"", file.display());
                (Grade::Missing, detail, hint)
            }
        };
        Finding { what: "environment".to_owned(), grade, detail, hint }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(text: &str) -> Rules {
        Rules::of(&Config::parse(text, Path::new("agent.toml")).unwrap())
    }

    #[test]
    fn a_host_without_an_environment_is_a_finding() {
        let file = Path::new("/etc/firedrill/agent.toml");
        let found = &rules("").findings(file)[0];
        assert_eq!(found.grade, Grade::Missing);
        assert!(found.hint.contains("/etc/firedrill/agent.toml"), "{found:?}");
        let text = "[[policy.allow]]\nname = \"in staging\"\nenvironments = [\"staging\"]\n";
        assert!(rules(text).findings(file)[0].detail.contains("in staging"));
        let found = &rules(&format!("environment = \"staging\"\n{text}")).findings(file)[0];
        assert_eq!((found.grade, found.hint.as_str()), (Grade::Good, ""));
        assert!(found.detail.starts_with("staging"), "{found:?}");
    }

    #[test]
    fn an_environment_is_a_name_as_in_certificates() {
        for wrong in ["", "prod ", "prod,staging", "a\\nb"] {
            let text = format!("environment = \"{wrong}\"");
            let error = Config::parse(&text, Path::new("agent.toml")).unwrap_err().to_string();
            assert!(error.contains("environment"), "{error}");
        }
    }
}
