//! The responses that are whole: refusals, and what became of a message.

use alloc::string::ToString;
use core::time::Duration;

use super::{Message, MessageError, PostError, PostOutcome};
use crate::access::AccessError;
use crate::http1::Response;

/// What clients are asked to wait after a 503.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The status of a refusal by `Host` or `Origin`.
pub(super) fn status_of(error: &AccessError) -> u16 {
    match error {
        AccessError::NoHost => 400,
        AccessError::Host | AccessError::Origin | AccessError::RepeatedOrigin => 403,
    }
}

/// A refusal with its reason as text.
pub(super) fn refuse(status: u16, reason: &str) -> Response {
    Response::text(status, alloc::format!("{reason}\n"))
}

/// The answers to messages, by what became of them.
impl Response {
    /// Adds a header whose value is known to be fit for one; any other is left out.
    pub(super) fn with(self, name: &str, value: &str) -> Response {
        let unchanged = self.clone();
        self.header(name, value).unwrap_or(unchanged)
    }

    /// 202: the message's place in the application's queue is certain.
    #[must_use]
    pub fn accepted() -> Response {
        Response::empty(202)
    }

    /// 404: no such session, or it has ended; whichever it is stays unsaid.
    #[must_use]
    pub fn unknown_session() -> Response {
        refuse(404, "no such session")
    }

    /// 503 with `Retry-After`.
    #[must_use]
    pub fn busy(reason: &str) -> Response {
        refuse(503, reason).with("Retry-After", &RETRY_AFTER.as_secs().to_string())
    }

    /// 204: the session that a reconnecting client was in is over. It tells an `EventSource` to stop
    /// reconnecting (HTML §9.2.3), where a new session would only refuse all that its client says, unseen.
    #[must_use]
    pub fn session_over() -> Response {
        Response::empty(204)
    }
}

impl From<PostError> for Response {
    fn from(error: PostError) -> Response {
        match error {
            PostError::Unknown => Response::unknown_session(),
            PostError::QueueFull => Response::busy("the application's queue is full"),
        }
    }
}

impl From<PostOutcome> for Response {
    fn from(outcome: PostOutcome) -> Response {
        match outcome {
            PostOutcome::Accepted => Response::accepted(),
            PostOutcome::QueueFull => Response::busy("the application's queue stayed full"),
            PostOutcome::Ended => Response::unknown_session(),
        }
    }
}

impl From<&MessageError> for Response {
    /// 400 with a JSON-RPC error whose id is null (JSON-RPC 2.0 §5).
    fn from(error: &MessageError) -> Response {
        Response::json(400, super::error_body(error).into_bytes())
    }
}

/// Reads the body of a POST.
///
/// # Errors
/// The answer that it deserves; the session it came for is as it was.
pub fn read_message(body: &[u8]) -> Result<Message, Response> {
    Message::parse(body).map_err(|error| Response::from(&error))
}
