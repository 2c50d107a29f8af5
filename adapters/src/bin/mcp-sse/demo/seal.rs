//! [`Seal`]: what a method knows between two rounds, kept by the client, so that nobody can change it.
//!
//! 2026-07-28, Multi Round-Trip Requests: `requestState` comes from whoever sends it. Here it is a text with an
//! HMAC-SHA-256 in front of it, and the text says for whom, for which request and until when it is good.

use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sansio_sse::mcp::Principal;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// How long a client has for one round.
const GOOD_FOR: Duration = Duration::from_secs(600);

/// The key of this process; what another one sealed is not ours.
pub(super) struct Seal {
    key: [u8; 64],
    began: Instant,
}

/// What a state is bound to.
pub(super) struct Context<'a> {
    pub(super) principal: &'a Principal,
    pub(super) what: Value,
}

impl Context<'_> {
    /// The same for the same principal and request only.
    fn digest(&self) -> String {
        hex(&Sha256::digest(json!([self.principal.name(), self.what]).to_string()))
    }
}

impl Seal {
    pub(super) fn new() -> Result<Seal, getrandom::Error> {
        let mut key = [0; 64];
        getrandom::fill(&mut key)?;
        Ok(Seal { key, began: Instant::now() })
    }

    /// A state that only this process can make.
    pub(super) fn close(&self, context: &Context<'_>, answers: &Map<String, Value>) -> String {
        self.close_until(context, answers, self.began.elapsed() + GOOD_FOR)
    }

    fn close_until(&self, context: &Context<'_>, answers: &Map<String, Value>, until: Duration) -> String {
        let text =
            json!({ "for": context.digest(), "until": until.as_secs(), "answers": answers }).to_string();
        format!("{}.{text}", hex(&self.mac(&text).finalize().into_bytes()))
    }

    /// What was sealed, if it is whole, bound to this, and still good.
    pub(super) fn open(&self, context: &Context<'_>, state: &str) -> Option<Map<String, Value>> {
        let (tag, text) = state.split_once('.')?;
        self.mac(text).verify_slice(&unhex(tag)?).ok()?;
        let mut state: Value = serde_json::from_str(text).ok()?;
        let is_good = state["until"].as_u64()? >= self.began.elapsed().as_secs();
        let is_bound = state["for"] == context.digest();
        let Value::Object(answers) = state["answers"].take() else { return None };
        (is_good && is_bound).then_some(answers)
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        Hmac::<Sha256>::new(&self.key.into()).chain_update(text)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Context, Duration, Map, Principal, Seal, Value, json};

    fn context(principal: &Principal, what: Value) -> Context<'_> {
        Context { principal, what }
    }

    #[test]
    fn a_state_is_good_for_its_request_its_principal_and_its_time_only() {
        let seal = Seal::new().unwrap();
        let (alice, bob) = (Principal::named("alice"), Principal::named("bob"));
        let here = context(&alice, json!(["tools/call", "a", {}]));
        let answers = Map::from_iter([("name".to_owned(), json!({ "action": "accept" }))]);
        let state = seal.close(&here, &answers);
        assert_eq!(seal.open(&here, &state), Some(answers.clone()));
        assert_eq!(seal.open(&context(&bob, here.what.clone()), &state), None);
        assert_eq!(seal.open(&context(&alice, json!(["tools/call", "b", {}])), &state), None);
        assert_eq!(Seal::new().unwrap().open(&here, &state), None);
        let late = Seal { key: seal.key, began: seal.began - Duration::from_secs(2) };
        assert_eq!(late.open(&here, &seal.close_until(&here, &answers, Duration::from_secs(1))), None);
    }

    #[test]
    fn no_character_of_a_state_can_be_changed() {
        let seal = Seal::new().unwrap();
        let principal = Principal::anonymous();
        let here = context(&principal, Value::Null);
        let state = seal.close(&here, &Map::new());
        assert!(state.is_ascii());
        for at in 0..state.len() {
            let mut changed = state.clone().into_bytes();
            // Another digit, not the same one in another case.
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            assert_eq!(seal.open(&here, &String::from_utf8(changed).unwrap()), None, "at {at}");
            assert_eq!(seal.open(&here, &state[..at]), None, "cut at {at}");
        }
        for state in ["", ".", "x.{}", "0.{}"] {
            assert_eq!(seal.open(&here, state), None, "{state}");
        }
    }
}
