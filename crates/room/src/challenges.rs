//! Challenges for passkeys. Each is valid for one purpose, once, for five minutes. The server recognises its own challenges by an HMAC, whose key it
//! makes anew at each start. It stores no challenge before its use. So a flood of requests for challenges cannot push out those of other people.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    hmac::{HMAC_SHA256, Key, sign, verify},
    rand::{SecureRandom as _, SystemRandom},
};

use crate::error::RoomError;

/// Time for which a challenge is valid, in seconds.
const LASTS_S: i64 = 300;
/// Sizes of a challenge's first parts, in bytes: random bytes, and the time at which it was made. The HMAC over both and the purpose follows.
const RANDOM: usize = 16;
const TIME: usize = 8;

/// The challenges of a server.
#[derive(Debug)]
pub(crate) struct Challenges {
    /// The key of the HMAC.
    key: Key,
    /// The challenges that were used and would still be valid, with the times at which they end (seconds since 1970).
    used: Mutex<HashMap<Vec<u8>, i64>>,
}

impl Challenges {
    pub(crate) fn new() -> Result<Self, RoomError> {
        let key = Key::generate(HMAC_SHA256, &SystemRandom::new()).map_err(|_| RoomError::Random)?;
        Ok(Self { key, used: Mutex::default() })
    }

    /// Returns a new challenge for a purpose, in base64url. `now_s` is in seconds since 1970.
    pub(crate) fn fresh(&self, purpose: &str, now_s: i64) -> Result<String, RoomError> {
        let mut bytes = vec![0; RANDOM];
        SystemRandom::new().fill(&mut bytes).map_err(|_| RoomError::Random)?;
        bytes.extend(now_s.to_be_bytes());
        let tag = sign(&self.key, &signed(&bytes, purpose));
        bytes.extend(tag.as_ref());
        Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Uses a challenge up. Returns true if this server made it for this purpose, less than [`LASTS_S`] ago, and it was not used before.
    pub(crate) fn take(&self, challenge: &[u8], purpose: &str, now_s: i64) -> bool {
        let Some((own, tag)) = challenge.split_at_checked(RANDOM + TIME) else { return false };
        if verify(&self.key, &signed(own, purpose), tag).is_err() {
            return false;
        }
        let made_s = own[RANDOM..].try_into().map(i64::from_be_bytes).unwrap_or_default();
        if !(made_s..made_s.saturating_add(LASTS_S)).contains(&now_s) {
            return false;
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, until_s| *until_s > now_s);
        used.insert(challenge.to_vec(), made_s.saturating_add(LASTS_S)).is_none()
    }
}

/// Returns the bytes that the HMAC covers. `own` (random bytes and time) has a fixed length, so the join is unambiguous.
fn signed(own: &[u8], purpose: &str) -> Vec<u8> {
    [own, purpose.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_790_000_000;

    #[test]
    fn a_challenge_works_once_in_time_and_for_its_purpose() {
        let (server, other) = (Challenges::new().unwrap(), Challenges::new().unwrap());
        let made = || BASE64_URL_SAFE_NO_PAD.decode(server.fresh("login", NOW).unwrap()).unwrap();
        let challenge = made();
        assert!(server.take(&challenge, "login", NOW + 1), "the first use");
        assert!(!server.take(&challenge, "login", NOW + 2), "the second use");
        assert!(server.take(&made(), "login", NOW + LASTS_S - 1));
        for (taken, purpose, now) in [
            (made(), "login", NOW + LASTS_S),
            (made(), "login", NOW - 1),
            (made(), "add 7", NOW),
            (made()[1..].to_vec(), "login", NOW),
            (Vec::new(), "login", NOW),
            (vec![0; RANDOM + TIME + 32], "login", NOW),
        ] {
            assert!(!server.take(&taken, purpose, now), "{purpose} {now}");
        }
        assert!(!other.take(&made(), "login", NOW), "of another server");
    }

    #[test]
    fn challenges_that_have_ended_take_no_memory() {
        let server = Challenges::new().unwrap();
        for second in 0..1_000 {
            let made = BASE64_URL_SAFE_NO_PAD.decode(server.fresh("login", NOW + second).unwrap()).unwrap();
            assert!(server.take(&made, "login", NOW + second));
        }
        assert!(server.used.lock().unwrap().len() <= usize::try_from(LASTS_S).unwrap());
    }
}
