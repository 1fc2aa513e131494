//! Explains why a lab did not start, by the settings of this machine. Changes none of them.

use std::{fs, path::Path};

use crate::LabError;

/// The settings of this machine that may prevent a lab.
#[derive(Clone, Debug, Default)]
struct Facts {
    root: bool,
    /// The setting `kernel.unprivileged_userns_clone`; `None` if this kernel has no such setting. So are the next two.
    userns_clone: Option<String>,
    apparmor_restricts: Option<String>,
    max_user_namespaces: Option<String>,
    /// Whether a seccomp filter limits this process.
    seccomp: bool,
    /// Whether this machine looks like a container.
    container: bool,
    /// The path of this program.
    program: String,
}

impl Facts {
    fn read() -> Self {
        let sysctl = |name: &str| {
            let text = fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
            Some(text.trim().to_owned())
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            root: nix::unistd::geteuid().is_root(),
            userns_clone: sysctl("kernel/unprivileged_userns_clone"),
            apparmor_restricts: sysctl("kernel/apparmor_restrict_unprivileged_userns"),
            max_user_namespaces: sysctl("user/max_user_namespaces"),
            seccomp: status.lines().any(|l| l.strip_prefix("Seccomp:").is_some_and(|v| v.trim() == "2")),
            container: ["/.dockerenv", "/run/.containerenv"].iter().any(|p| Path::new(p).exists()),
            program: std::env::current_exe().map_or_else(|_| "firedrill".into(), |p| p.display().to_string()),
        }
    }
}

/// Makes the error of a lab that did not start, with advice if the machine's settings are the cause. `failure` says what failed, and
/// `errno` is its error number, if there is one.
pub(crate) fn explain(failure: String, errno: Option<i32>) -> LabError {
    match advise(&Facts::read(), errno) {
        Some(advice) => LabError::NotAllowed { what: failure, advice },
        None => LabError::Refused(failure),
    }
}

/// Returns advice for an error number; `None` if no known setting explains it.
fn advise(facts: &Facts, errno: Option<i32>) -> Option<String> {
    let zero = |value: &Option<String>| value.as_deref() == Some("0");
    match errno? {
        libc::EPERM | libc::EACCES if !facts.root && zero(&facts.userns_clone) => Some(
            "unprivileged users may not make namespaces here. Either allow it:\n  \
             sudo sysctl -w kernel.unprivileged_userns_clone=1\nor run this command as root."
                .into(),
        ),
        libc::EPERM | libc::EACCES if !facts.root && facts.apparmor_restricts.as_deref() == Some("1") => Some(format!(
            "AppArmor keeps unprivileged programs from using user namespaces here. Either give this one a profile:\n  \
             sudo tee /etc/apparmor.d/firedrill <<'END'\n  abi <abi/4.0>,\n  profile firedrill \"{}\" \
             flags=(unconfined) {{ userns, }}\n  END\n  sudo apparmor_parser -r /etc/apparmor.d/firedrill\n\
             or allow all (until the next boot):\n  sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0\n\
             or run this command as root.",
            facts.program
        )),
        libc::EPERM | libc::EACCES if facts.seccomp || facts.container => Some(
            "this looks like a container that may not make namespaces. Start it with:\n  \
             --security-opt seccomp=unconfined --security-opt systempaths=unconfined\n\
             or run this command outside of it."
                .into(),
        ),
        libc::ENOSPC | libc::EUSERS => {
            let limit = facts.max_user_namespaces.as_deref().unwrap_or("unknown");
            Some(format!(
                "the limit of namespaces is used up (user.max_user_namespaces is {limit}; see also the other \
                 user.max_*_namespaces). Raise it:\n  sudo sysctl -w user.max_user_namespaces=10000"
            ))
        }
        libc::EINVAL | libc::ENOSYS => Some(
            "this kernel lacks a kind of namespace or clone3(2) that a lab needs; Linux 5.11 or newer, with user, network, \
             process-id and mount namespaces, has them all."
                .into(),
        ),
        libc::EPERM | libc::EACCES if facts.root => Some(
            "even root is refused here: look at the kernel's lockdown, SELinux or AppArmor messages (dmesg), or run this \
             command on another machine."
                .into(),
        ),
        libc::EPERM | libc::EACCES => Some(
            "this user may not make namespaces here, and no setting that this program knows of says why. Run it as root."
                .into(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn advice(facts: &Facts, errno: i32) -> String {
        advise(facts, Some(errno)).unwrap()
    }

    #[test]
    fn each_known_cause_gets_its_advice() {
        let debian = Facts { userns_clone: Some("0".into()), ..Facts::default() };
        assert!(advice(&debian, libc::EPERM).contains("kernel.unprivileged_userns_clone=1"));
        let ubuntu = Facts {
            apparmor_restricts: Some("1".into()),
            userns_clone: Some("1".into()),
            program: "/opt/x/firedrill".into(),
            ..Facts::default()
        };
        assert!(advice(&ubuntu, libc::EACCES).contains("profile firedrill \"/opt/x/firedrill\""));
        let container = Facts { root: true, seccomp: true, ..Facts::default() };
        assert!(advice(&container, libc::EPERM).contains("seccomp=unconfined"));
        assert!(advice(&Facts::default(), libc::ENOSPC).contains("user.max_user_namespaces"));
    }

    #[test]
    fn a_failure_that_no_setting_explains_gets_no_advice() {
        assert_eq!(advise(&Facts::default(), Some(libc::ENOMEM)), None);
        assert_eq!(advise(&Facts::default(), None), None);
    }
}
