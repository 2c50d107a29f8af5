//! The Model Context Protocol over HTTP+SSE, the transport of revision 2024-11-05.
//!
//! A client's `GET` opens a response that speaks first with the `endpoint` event: where to POST. What the
//! client POSTs there goes to the application; what the application sends comes as `message` events. Here are
//! the decisions of it: [`Routes`] says what a request asks for, [`Sessions`] owns the sessions and what waits
//! in them, a [`SessionStream`] says only what every client bears, and a [`Message`] is one JSON-RPC message,
//! checked and never rebuilt.

mod http_sse;
mod message;

mod revision;
mod route;
mod session_id;
mod sessions;

pub use http_sse::{HttpSse, PublicBase, Resumption, SendError, SessionStream};
pub use message::{Message, MessageError, MessageKind, error_body};
pub use revision::{
    BodyFacts, Revision, RevisionError, Revisions, Rules, SessionNaming, VersionError, VersionFacts,
};
pub use route::{Route, Routes, StreamKind, read_message};
pub use session_id::{SessionId, SessionIdError};
pub use sessions::{
    Attachment, OpenError, PostError, PostId, PostOutcome, Posted, SessionEnd, SessionEvent, SessionLimits,
    Sessions,
};
