//! The built-in demo: a small MCP server in this process, to try a client against, and for the official conformance
//! suite.

mod basics;
mod call;
mod contents;
mod http_sse;
mod inquiries;
mod jobs;
mod methods;
mod mirror;
mod prompts;
mod questions;
mod resources;
mod seal;
mod streamable;
mod tasks;
#[cfg(test)]
mod tests;
mod tool;
mod tools;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sansio_sse::mcp::{AnswerMode, Offer, Revisions, StreamableConfig};
use sansio_sse_adapters::{Mcp, Session};

use self::seal::Seal;
use self::tasks::Tasks;

/// What all sessions and requests of the demo share.
pub(crate) struct Demo {
    seal: Seal,
    tasks: Tasks,
    revisions: Revisions,
    has_dynamic_tool: AtomicBool,
    has_dynamic_prompt: AtomicBool,
    touched: AtomicU64,
}

impl Demo {
    /// A demo that tells of these revisions.
    pub(crate) fn new(revisions: Revisions) -> Result<Arc<Demo>, getrandom::Error> {
        Ok(Arc::new(Demo {
            seal: Seal::new()?,
            tasks: Tasks::default(),
            revisions,
            has_dynamic_tool: AtomicBool::new(false),
            has_dynamic_prompt: AtomicBool::new(false),
            touched: AtomicU64::new(0),
        }))
    }

    /// Serves a session of HTTP+SSE.
    pub(crate) async fn serve(self: Arc<Demo>, session: Session) {
        http_sse::serve(&self, session).await;
    }

    /// What serves it over Streamable HTTP, in sessions and without.
    pub(crate) fn mcp(self: &Arc<Demo>) -> Mcp {
        let (with, without) = (Arc::clone(self), Arc::clone(self));
        Mcp::sessions(move |session| streamable::serve(Arc::clone(&with), session)).stateless(
            move |request| {
                let demo = Arc::clone(&without);
                async move { streamable::answer(&demo, None, request).await }
            },
        )
    }

    /// The settings of its endpoint, where they are its own: what changes here can be subscribed to, and there is a
    /// stream to be seen wherever there may be one.
    pub(crate) fn settings(config: StreamableConfig) -> StreamableConfig {
        let offer = Offer { tools: true, prompts: true, resources: false, resource_updates: true };
        StreamableConfig { answers: AnswerMode::Stream, subscriptions: Some(offer), ..config }
    }

    fn revisions(&self) -> Revisions {
        self.revisions
    }

    fn has_dynamic_tool(&self) -> bool {
        self.has_dynamic_tool.load(Ordering::Relaxed)
    }

    fn has_dynamic_prompt(&self) -> bool {
        self.has_dynamic_prompt.load(Ordering::Relaxed)
    }

    fn change_tools(&self) {
        self.has_dynamic_tool.fetch_not(Ordering::Relaxed);
    }

    fn change_prompts(&self) {
        self.has_dynamic_prompt.fetch_not(Ordering::Relaxed);
    }

    fn touch(&self) {
        self.touched.fetch_add(1, Ordering::Relaxed);
    }

    /// How often the watched resource has changed.
    fn touched(&self) -> u64 {
        self.touched.load(Ordering::Relaxed)
    }
}
