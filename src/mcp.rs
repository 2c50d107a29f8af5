//! The Model Context Protocol over HTTP: HTTP+SSE of revision 2024-11-05, and Streamable HTTP of all that followed.
//!
//! HTTP+SSE: a client's `GET` opens a response that speaks first with the `endpoint` event: where to POST. What the
//! client POSTs there goes to the application; what the application sends comes as `message` events. [`Routes`] says
//! what a request asks for, [`Sessions`] owns the sessions and what waits in them, and a [`SessionStream`] says only
//! what every client bears.
//!
//! Streamable HTTP: one endpoint, to which clients POST what they say, and which answers each by a response or a
//! stream. [`Streamable`] owns all of it. [`Revision`] is what differs between its revisions, as data, and which of
//! them a request is of.
//!
//! In both, a [`Message`] is one JSON-RPC message, checked and never rebuilt.

mod http_sse;
mod message;
mod principal;
mod response;
mod revision;
mod route;
mod session_id;
mod sessions;
mod streamable;

pub use http_sse::{HttpSse, PublicBase, Resumption, SendError, SessionStream};
pub use message::{Body, Message, MessageError, MessageKind, error_body};
pub use principal::{Authenticate, Principal, Refusal, RequestFacts};
pub use response::read_message;
pub use revision::{
    BodyFacts, Revision, RevisionError, Revisions, Rules, SessionNaming, VersionError, VersionFacts,
};
pub use route::{Route, Routes, StreamKind};
pub use session_id::{SessionId, SessionIdError};
pub use sessions::{
    Attachment, OpenError, PostError, PostId, PostOutcome, Posted, SessionEnd, SessionEvent, SessionLimits,
    Sessions,
};
pub use streamable::{
    Answer, AnswerMode, BodyDecision, CallId, ExchangeId, Filled, Filter, GapAnswer, HeadDecision, Incoming,
    NotSent, Offer, Outlet, Post, SecondGet, Streamable, StreamableConfig, StreamableEnd, StreamableEvent,
    StreamableLimits, Unfit, decode_mirrored,
};
