//! [`Chain`]: a task that becomes another.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A future that may have another one behind it. Each is freed before the next begins.
pub(crate) struct Chain(Pin<Box<dyn Future<Output = Option<Chain>> + Send>>);

impl Chain {
    pub(super) fn new(future: impl Future<Output = Option<Chain>> + Send + 'static) -> Chain {
        Chain(Box::pin(future))
    }
}

impl Future for Chain {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(next) = ready!(self.0.as_mut().poll(cx)) {
            *self = next;
        }
        Poll::Ready(())
    }
}
