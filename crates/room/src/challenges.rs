//! Challenges for passkeys: each is for one purpose, once, for five minutes. The server keeps none that was not used: it recognises its own by a
//! key that it makes anew at each start. So nobody who asks for many displaces those of others.

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
/// Sizes of a challenge's parts, in bytes: random ones, and the time.
const RANDOM: usize = 16;
const TIME: usize = 8;

/// The challenges of a server.
#[derive(Debug)]
pub(crate) struct Challenges {
    key: Key,
    /// Those that were used, with the times at which they end.
    used: Mutex<HashMap<Vec<u8>, i64>>,
}

impl Challenges {
    pub(crate) fn new() -> Result<Self, RoomError> {
        let key = Key::generate(HMAC_SHA256, &SystemRandom::new()).map_err(|_| RoomError::Random)?;
        Ok(Self { key, used: Mutex::default() })
    }

    /// Returns a new challenge for a purpose, in base64url.
    pub(crate) fn fresh(&self, purpose: &str, now_s: i64) -> Result<String, RoomError> {
        let mut bytes = vec![0; RANDOM];
        SystemRandom::new().fill(&mut bytes).map_err(|_| RoomError::Random)?;
        bytes.extend(now_s.to_be_bytes());
        let tag = sign(&self.key, &signed(&bytes, purpose));
        bytes.extend(tag.as_ref());
        Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Uses a challenge up. Returns whether it was one of this server for that purpose, in time, and for the first time.
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
        let one = made();
        assert!(server.take(&one, "login", NOW + 1) && !server.take(&one, "login", NOW + 2), "once");
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
    fn those_that_are_over_take_no_memory() {
        let server = Challenges::new().unwrap();
        for second in 0..1_000 {
            let made = BASE64_URL_SAFE_NO_PAD.decode(server.fresh("login", NOW + second).unwrap()).unwrap();
            assert!(server.take(&made, "login", NOW + second));
        }
        assert!(server.used.lock().unwrap().len() <= 300);
    }
}
