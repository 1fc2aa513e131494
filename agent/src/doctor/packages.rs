//! Names the package of a distribution that has what its default kernel lacks. Reads only.

use std::fs;

/// Returns the advice for getting netem on this host.
pub(super) fn netem() -> &'static str {
    let text =
        ["/etc/os-release", "/usr/lib/os-release"].iter().find_map(|file| fs::read_to_string(file).ok());
    netem_by(&text.unwrap_or_default())
}

/// Returns the advice by `ID` and `ID_LIKE` (os-release(5)).
fn netem_by(os_release: &str) -> &'static str {
    let values = os_release.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        ["ID", "ID_LIKE"].contains(&key).then(|| value.trim_matches(['"', '\'']))
    });
    let words: Vec<&str> = values.flat_map(str::split_whitespace).collect();
    let is = |names: &[&str]| words.iter().any(|word| names.contains(word));
    if is(&["rhel", "fedora", "centos"]) {
        "dnf install kernel-modules-extra-$(uname -r)"
    } else if is(&["ubuntu"]) {
        "apt-get install linux-modules-extra-$(uname -r)"
    } else if is(&["debian"]) {
        "boot the kernel of linux-image-amd64 (or of your architecture), not a cut-down one"
    } else {
        "take a kernel with CONFIG_NET_SCH_NETEM"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_that_of_the_distribution() {
        let rocky =
            "NAME=\"Rocky Linux\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n";
        assert!(netem_by(rocky).contains("dnf install kernel-modules-extra"));
        assert!(netem_by("ID=fedora\n").contains("kernel-modules-extra"));
        assert!(netem_by("ID=ubuntu\nID_LIKE=debian\n").contains("linux-modules-extra"));
        assert!(netem_by("ID=debian\n").contains("linux-image-amd64"));
        assert!(netem_by("ID=arch\nBUILD_ID=rhel\n").contains("CONFIG_NET_SCH_NETEM"));
    }
}
