//! The format of runit's file `supervise/status`, which has 20 bytes, and of `supervise/stat`. Reads and writes no files.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::ServiceState;

/// The TAI64 label of the Unix epoch, with the ten seconds that runit adds.
const TAI_EPOCH: u64 = (1 << 62) + 10;

/// The state of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// The time of the last change of state.
    pub(crate) since: SystemTime,
    pub(crate) pid: Option<i32>,
    pub(crate) paused: bool,
    pub(crate) want_up: bool,
    /// Whether SIGTERM was sent and the service has not ended yet.
    pub(crate) got_term: bool,
    pub(crate) state: ServiceState,
}

impl Status {
    /// Encodes the state.
    pub(crate) fn bytes(&self) -> [u8; 20] {
        let since = self.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        let pid = self.pid.and_then(|p| u32::try_from(p).ok()).unwrap_or_default();
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&(TAI_EPOCH + since.as_secs()).to_be_bytes());
        bytes[8..12].copy_from_slice(&since.subsec_nanos().to_be_bytes());
        bytes[12..16].copy_from_slice(&pid.to_le_bytes());
        bytes[16] = u8::from(self.paused);
        bytes[17] = if self.want_up { b'u' } else { b'd' };
        bytes[18] = u8::from(self.got_term);
        bytes[19] = match self.state {
            ServiceState::Down => 0,
            ServiceState::Run => 1,
            ServiceState::Finish => 2,
        };
        bytes
    }

    /// Decodes the state; `None` if the bytes are not such a status.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 20] = bytes.try_into().ok()?;
        let seconds = u64::from_be_bytes(bytes[..8].try_into().ok()?).checked_sub(TAI_EPOCH)?;
        let nanos = u32::from_be_bytes(bytes[8..12].try_into().ok()?);
        let pid = u32::from_le_bytes(bytes[12..16].try_into().ok()?);
        Some(Self {
            since: UNIX_EPOCH
                .checked_add(Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanos.into()))?)?,
            pid: i32::try_from(pid).ok().filter(|p| *p > 0),
            paused: bytes[16] != 0,
            want_up: bytes[17] == b'u',
            got_term: bytes[18] != 0,
            state: match bytes[19] {
                0 => ServiceState::Down,
                1 => ServiceState::Run,
                2 => ServiceState::Finish,
                _ => return None,
            },
        })
    }

    /// Returns the contents of `supervise/stat`.
    pub(crate) fn words(&self) -> String {
        let mut text = String::from(match self.state {
            ServiceState::Down => "down",
            ServiceState::Run => "run",
            ServiceState::Finish => "finish",
        });
        if self.paused {
            text.push_str(", paused");
        }
        if self.got_term {
            text.push_str(", got TERM");
        }
        if self.state == ServiceState::Run && !self.want_up {
            text.push_str(", want down");
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: Status = Status {
        since: UNIX_EPOCH,
        pid: Some(0x0102_0304),
        paused: false,
        want_up: true,
        got_term: true,
        state: ServiceState::Run,
    };

    #[test]
    fn layout_is_that_of_runit() {
        let status = Status { since: UNIX_EPOCH + Duration::new(0x65, 0x0a0b_0c0d), ..RUNNING };
        assert_eq!(
            status.bytes(),
            [0x40, 0, 0, 0, 0, 0, 0, 0x6f, 0x0a, 0x0b, 0x0c, 0x0d, 4, 3, 2, 1, 0, b'u', 1, 1]
        );
        assert_eq!(status.words(), "run, got TERM\n");
        assert_eq!(Status::parse(&status.bytes()), Some(status));
    }

    #[test]
    fn other_bytes_are_not_a_status() {
        let mut bytes = RUNNING.bytes();
        bytes[19] = 9;
        assert_eq!(Status::parse(&bytes), None);
        assert_eq!(Status::parse(&bytes[..19]), None);
        assert_eq!(Status::parse(&[0; 20]), None);
    }
}
