//! TLS around a connection, as kinds that open one themselves give it: the checks of its values, and the files that it reads.

use rustls_pki_types::ServerName;

use super::{
    kind::{Read, Source},
    refused::{Field, Refusal},
};

/// The values of a probe that are about TLS.
#[derive(Clone, Copy)]
pub(super) struct Secure<'p> {
    /// Whether the connection is encrypted at all.
    pub(super) on: bool,
    /// A PEM file of authorities.
    pub(super) ca_file: Option<&'p str>,
    /// The name that the certificate must have, if that is another one than the host's.
    pub(super) server_name: Option<&'p str>,
}

impl<'p> Secure<'p> {
    /// Returns the name that the certificate must have: the given one, or the host's. `place` leads to the value that names the host.
    pub(super) fn name(self, host: &str, place: &[&str]) -> Result<ServerName<'static>, Refusal> {
        let (key, name) = self.server_name.map_or((place, host), |name| (&["server_name"], name));
        ServerName::try_from(name.to_owned()).map_err(|_| {
            let what = format!("no certificate can name the host `{name}`");
            let help = "a name of letters, digits, `-`, `_` and `.`, or an address without brackets";
            Refusal::new(Field::request(key), what, "not a host", help)
        })
    }

    /// Returns the name that the certificate must have, as [`Self::name`] does; `None` without TLS.
    pub(super) fn name_if_on(
        self,
        host: &str,
        place: &[&str],
    ) -> Result<Option<ServerName<'static>>, Vec<Refusal>> {
        self.on.then(|| self.name(host, place)).transpose().map_err(|refusal| vec![refusal])
    }

    /// Refuses values that cannot be used.
    pub(super) fn refusals(self, host: &str, place: &[&str]) -> Vec<Refusal> {
        let name = (self.on || self.server_name.is_some()).then(|| self.name(host, place).err()).flatten();
        name.into_iter().chain(file("ca_file", self.ca_file)).collect()
    }

    /// Returns the values that do nothing without TLS.
    pub(super) fn vain(self) -> Vec<Refusal> {
        if self.on {
            return Vec::new();
        }
        let given = [("ca_file", self.ca_file), ("server_name", self.server_name)];
        let given = given.into_iter().filter(|(_, value)| value.is_some());
        let vain = given.map(|(key, _)| {
            let what = format!("has `{key}`, but not `tls = true`");
            let help = format!("write `tls = true`, or leave `{key}` out");
            Refusal::new(Field::request(&[key]), what, "has no effect", help)
        });
        vain.collect()
    }

    /// Returns the file of authorities, if there is one.
    pub(super) fn reads(self) -> Vec<Read<'p>> {
        self.ca_file.map(|path| read("ca_file", path, NO_SECRET)).into_iter().collect()
    }
}

/// For [`read`]: the file is a secret.
pub(super) const SECRET: bool = true;
/// For [`read`]: the file is no secret.
pub(super) const NO_SECRET: bool = false;

/// Returns the reading of a file that a key names.
pub(super) fn read<'p>(key: &str, path: &'p str, secret: bool) -> Read<'p> {
    Read { field: Field::request(&[key]), from: Source::File(path), secret }
}

/// Refuses a path that no file can have.
pub(super) fn file(key: &str, path: Option<&str>) -> Option<Refusal> {
    path.filter(|path| path.is_empty() || path.contains('\0')).map(|_| {
        let what = format!("no file can have the name that `{key}` gives");
        let help = format!("name a PEM file, or leave `{key}` out");
        Refusal::new(Field::request(&[key]), what, "not a file", help)
    })
}
