//! The login: what the server says of itself, and the answers to its methods. A password goes over TLS only, or not at all.

use firedrill_probe::client::{Cause, Failure, Told};
use ring::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};

use super::{errors::Refused, packets::Reader};

/// The capabilities of the client: long flags, protocol 4.1, transactions, the method of its name, several results of a procedure.
const WANTS: u32 = 1 | 1 << 2 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 17 | 1 << 19;
/// A database is chosen at the login.
const WITH_DATABASE: u32 = 1 << 3;
/// The connection goes on over TLS.
const TLS: u32 = 1 << 11;
/// The largest packet that is taken, in bytes.
const PACKET_MOST: u32 = 1 << 24;
/// `utf8mb4_general_ci`.
const CHARACTERS: u8 = 45;
/// The length of a server's random text, in bytes.
const RANDOM: usize = 20;
/// The length of the part of the random text that comes first, in bytes.
const RANDOM_FIRST: usize = 8;
/// The version of the protocol.
const VERSION: u8 = 10;
/// The number of zero bytes before the user's name.
const ZEROS: usize = 23;
/// An answer in the first packet has fewer bytes.
const ANSWER_BELOW: usize = 256;
/// The connection is encrypted: a value of `tls`.
const OVER_TLS: bool = true;
/// The server knows the password from an earlier login.
const KNOWN: u8 = 3;
/// The server wants to see the password.
const SHOWN: u8 = 4;

/// The user of a probe. It has no `Debug`, because it has the password.
pub(super) struct Login {
    pub(super) user: String,
    pub(super) database: Option<String>,
    pub(super) password: Option<String>,
}

/// The first words of a server.
pub(super) struct Hello {
    /// The server's capabilities.
    can: u32,
    /// The method that it would like.
    method: Vec<u8>,
    random: Vec<u8>,
}

/// The answer to a method.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// This is sent.
    Send(Vec<u8>),
    /// Nothing is sent: the server says what comes.
    Wait,
}

impl Hello {
    /// Reads the first packet, which is no error.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let mut reader = Reader(packet);
        if reader.byte()? != VERSION {
            return None;
        }
        let _version = reader.text();
        let _connection = reader.bytes(4)?;
        let mut random = reader.bytes(RANDOM_FIRST)?.to_vec();
        let _ = reader.byte()?;
        let low = reader.short()?;
        let (_characters, _status) = (reader.byte()?, reader.short()?);
        let can = u32::from(low) | u32::from(reader.short()?) << 16;
        let _length = reader.byte()?;
        let _reserved = reader.bytes(10)?;
        random.extend_from_slice(reader.bytes(RANDOM - RANDOM_FIRST)?);
        let _end = reader.byte()?;
        Some(Self { can, method: reader.text().to_vec(), random })
    }

    /// Whether the connection can go on over TLS.
    pub(super) const fn has_tls(&self) -> bool {
        self.can & TLS != 0
    }
}

impl Login {
    /// Returns the meaning of a refusal during the login.
    pub(super) const fn refused(&self) -> Refused {
        Refused::Login { password: self.password.is_some() }
    }

    fn flags(&self, tls: bool) -> u32 {
        WANTS | if self.database.is_some() { WITH_DATABASE } else { 0 } | if tls { TLS } else { 0 }
    }

    fn head(&self, tls: bool) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend_from_slice(&self.flags(tls).to_le_bytes());
        body.extend_from_slice(&PACKET_MOST.to_le_bytes());
        body.push(CHARACTERS);
        body.extend_from_slice(&[0; ZEROS]);
        body
    }

    /// Returns the packet that asks for TLS.
    pub(super) fn wants_tls(&self) -> Vec<u8> {
        self.head(OVER_TLS)
    }

    /// Returns the packet that logs in: by the server's method if this client has it, else by the oldest method. In the second case the server
    /// asks for another method then.
    pub(super) fn first(&self, hello: &Hello, tls: bool) -> Vec<u8> {
        let (method, answer) = match self.answer(&hello.method, &hello.random, tls) {
            Ok(Answer::Send(answer)) if answer.len() < ANSWER_BELOW => (hello.method.as_slice(), answer),
            _ => (NATIVE, self.scrambled(&SHA1_FOR_LEGACY_USE_ONLY, &hello.random)),
        };
        let mut body = self.head(tls);
        body.extend_from_slice(self.user.as_bytes());
        body.push(0);
        body.push(u8::try_from(answer.len()).unwrap_or(0));
        body.extend_from_slice(&answer);
        if let Some(database) = &self.database {
            body.extend_from_slice(database.as_bytes());
            body.push(0);
        }
        body.extend_from_slice(method);
        body.push(0);
        body
    }

    /// Returns the answer to a request for another method: `0xfe`, its name, and a random text.
    pub(super) fn switched(&self, packet: &[u8], tls: bool) -> Result<Answer, Failure> {
        let mut reader = Reader(packet.get(1..).unwrap_or_default());
        let method = reader.text();
        let random = reader.0.strip_suffix(b"\0").unwrap_or(reader.0);
        self.answer(method, random, tls)
    }

    /// Returns the answer to more that the server says about the login: `0x01`, then [`KNOWN`] or [`SHOWN`].
    pub(super) fn more(&self, packet: &[u8], tls: bool) -> Result<Answer, Failure> {
        match packet {
            [_, KNOWN] => Ok(Answer::Wait),
            [_, SHOWN] => self.in_clear(tls),
            _ => Err(Told::Login.into()),
        }
    }

    fn answer(&self, method: &[u8], random: &[u8], tls: bool) -> Result<Answer, Failure> {
        match method {
            NATIVE | SHA2 if random.len() != RANDOM => Err(Cause::Protocol.into()),
            NATIVE => Ok(Answer::Send(self.scrambled(&SHA1_FOR_LEGACY_USE_ONLY, random))),
            SHA2 => Ok(Answer::Send(self.scrambled(&SHA256, random))),
            b"mysql_clear_password" => self.in_clear(tls),
            _ => Err(Told::Login.into()),
        }
    }

    /// Returns the password itself, for a server whose certificate was accepted.
    fn in_clear(&self, tls: bool) -> Result<Answer, Failure> {
        if !tls {
            return Err(Told::TlsWanted.into());
        }
        let password = self.password.as_deref().unwrap_or_default();
        Ok(Answer::Send([password.as_bytes(), b"\0"].concat()))
    }

    /// Returns the proof that the password is known: its digest, hidden by that of the random text and the digest's digest. The two methods differ in the
    /// algorithm and in the order of what is digested.
    fn scrambled(&self, by: &'static Algorithm, random: &[u8]) -> Vec<u8> {
        let Some(password) = self.password.as_deref().filter(|text| !text.is_empty()) else {
            return Vec::new();
        };
        let once = digest(by, password.as_bytes());
        let twice = digest(by, once.as_ref());
        let parts = if by == &SHA256 { [twice.as_ref(), random] } else { [random, twice.as_ref()] };
        let hides = digest(by, &parts.concat());
        once.as_ref().iter().zip(hides.as_ref()).map(|(one, other)| one ^ other).collect()
    }
}

/// The method that all servers have had.
const NATIVE: &[u8] = b"mysql_native_password";
/// The method of MySQL 8.
const SHA2: &[u8] = b"caching_sha2_password";

#[cfg(test)]
mod tests {
    use super::*;

    fn login(password: Option<&str>) -> Login {
        Login {
            user: "drill".to_owned(),
            database: Some("shop".to_owned()),
            password: password.map(str::to_owned),
        }
    }

    /// A first packet, as servers send it.
    fn hello(method: &str) -> Vec<u8> {
        let mut packet = b"\x0a10.11.14-MariaDB\0\x01\0\0\0".to_vec();
        packet.extend_from_slice(b"01234567\0\xfe\xff\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\0\0\0\0");
        packet.extend_from_slice(b"89abcdefghij\0");
        packet.extend_from_slice(method.as_bytes());
        packet.push(0);
        packet
    }

    /// The connection is not encrypted: a value of `tls`.
    const PLAIN: bool = false;
    const RANDOM_TEXT: &[u8] = b"0123456789abcdefghij";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_first_words_are_read_and_less_is_nothing() {
        let packet = hello("mysql_native_password");
        let read = Hello::read(&packet).expect("whole");
        assert!(read.has_tls());
        assert_eq!((read.random.as_slice(), read.method.as_slice()), (RANDOM_TEXT, NATIVE));
        for length in 0..packet.len() - NATIVE.len() - 2 {
            assert!(Hello::read(&packet[..length]).is_none(), "{length}");
        }
        assert!(Hello::read(b"\x09old\0").is_none());
    }

    /// The digests that `mysql_common` 0.38 calculates from the same values.
    #[test]
    fn proofs_are_those_of_another_client() {
        let login = login(Some("s3cret"));
        let proof = |by| hex(&login.scrambled(by, RANDOM_TEXT));
        assert_eq!(proof(&SHA1_FOR_LEGACY_USE_ONLY), "714e266755489c6c1ec8b62d32d3438489aaf42c");
        assert_eq!(proof(&SHA256), "b4e44a5ad3e00e792689879f9e96e7b673cccd90abdfc071692d5225e441d237");
        assert!(login.answer(NATIVE, b"short", PLAIN).is_err());
    }

    #[test]
    fn a_password_is_shown_over_tls_only() {
        let login = login(Some("s3cret"));
        let shown = Ok(Answer::Send(b"s3cret\0".to_vec()));
        assert_eq!(login.more(&[1, SHOWN], OVER_TLS), shown);
        assert_eq!(login.switched(b"\xfemysql_clear_password\0", OVER_TLS), shown);
        for answer in [login.more(&[1, SHOWN], PLAIN), login.switched(b"\xfemysql_clear_password\0", PLAIN)] {
            assert_eq!(answer, Err(Told::TlsWanted.into()));
        }
        assert_eq!(login.more(&[1, KNOWN], PLAIN), Ok(Answer::Wait));
        assert_eq!(login.switched(b"\xfeclient_ed25519\0random", OVER_TLS), Err(Told::Login.into()));
    }

    #[test]
    fn the_login_names_user_database_and_method() {
        let none = login(None);
        let body = none.first(&Hello::read(&hello("client_ed25519")).expect("whole"), PLAIN);
        assert!(body.ends_with(b"\0drill\0\0shop\0mysql_native_password\0"), "{body:?}");
        let body = login(Some("s3cret"))
            .first(&Hello::read(&hello("caching_sha2_password")).expect("whole"), OVER_TLS);
        assert!(body.ends_with(b"shop\0caching_sha2_password\0"), "{body:?}");
        assert_eq!(body.len(), 32 + "drill\0".len() + 1 + 32 + "shop\0caching_sha2_password\0".len());
    }
}
