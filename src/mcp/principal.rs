//! [`Principal`]: who asks, as an authentication hook names them, and [`Refusal`]: how it says no.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;

use crate::http1::{HeaderError, RequestHead, Response};

/// Who asks. Only whether two are the same matters here: a session belongs to the principal that opened it, and
/// to any other it is as if there were none.
///
/// ```
/// use sansio_sse::mcp::Principal;
///
/// assert_eq!(Principal::named("alice"), Principal::named("alice"));
/// assert_ne!(Principal::named(""), Principal::anonymous());
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Principal(Option<Arc<str>>);

impl Principal {
    /// Whoever asks where nobody is asked who they are.
    #[must_use]
    pub fn anonymous() -> Principal {
        Principal(None)
    }

    /// Somebody, by a name that no other has: a user's id together with who issued it, not a token, which changes.
    #[must_use]
    pub fn named(name: &str) -> Principal {
        Principal(Some(Arc::from(name)))
    }

    /// The name, if there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, "Principal({name:?})"),
            None => f.write_str("Principal(anonymous)"),
        }
    }
}

/// What an authentication hook decides by. It is asked about every request that is let in by `Host` and `Origin`
/// (Security Best Practices: a session id alone never authenticates), but not about CORS preflights, which carry no
/// credentials.
#[derive(Clone, Copy, Debug)]
pub struct RequestFacts<'a> {
    /// The request's head, with its `Authorization`.
    pub head: &'a RequestHead,
    /// Where it comes from, as far as the driver knows.
    pub peer: Option<SocketAddr>,
}

/// The shape of an authentication hook: who asks, or how they are refused.
///
/// ```
/// use sansio_sse::mcp::{Authenticate, Principal, Refusal, RequestFacts};
///
/// fn by_token(request: &RequestFacts<'_>) -> Result<Principal, Refusal> {
///     match request.head.header("authorization") {
///         Some(b"Bearer secret") => Ok(Principal::named("alice")),
///         _ => Err(Refusal::unauthorized("Bearer").unwrap_or(Refusal::forbidden())),
///     }
/// }
/// let _hook: &Authenticate = &by_token;
/// ```
pub type Authenticate = dyn Fn(&RequestFacts<'_>) -> Result<Principal, Refusal> + Send + Sync;

/// Why somebody is not let in. The answer says no more than this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    status: u16,
    challenge: Option<String>,
}

impl Refusal {
    /// 401: credentials are missing or not good, and the challenge says which are asked for (RFC 9110 §11.6.1).
    ///
    /// # Errors
    /// [`HeaderError`] if the challenge can't stand in a header.
    pub fn unauthorized(challenge: &str) -> Result<Refusal, HeaderError> {
        Response::empty(401).header("WWW-Authenticate", challenge)?;
        Ok(Refusal { status: 401, challenge: Some(challenge.into()) })
    }

    /// 403: known, and not allowed.
    #[must_use]
    pub fn forbidden() -> Refusal {
        Refusal { status: 403, challenge: None }
    }

    /// 403 with a challenge, as for a token without enough scope (RFC 6750 §3.1).
    ///
    /// # Errors
    /// [`HeaderError`] if the challenge can't stand in a header.
    pub fn insufficient(challenge: &str) -> Result<Refusal, HeaderError> {
        Refusal::unauthorized(challenge).map(|refusal| Refusal { status: 403, ..refusal })
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.status == 401 { "credentials are required" } else { "not allowed" })
    }
}

impl core::error::Error for Refusal {}

impl From<&Refusal> for Response {
    fn from(refusal: &Refusal) -> Response {
        let response = super::response::refuse(refusal.status, &alloc::string::ToString::to_string(refusal));
        match &refusal.challenge {
            Some(challenge) => response.with("WWW-Authenticate", challenge),
            None => response,
        }
    }
}
