//! Asks the application's authentication hook who asks.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::task::Poll;

use futures_util::FutureExt;
use futures_util::io::{AsyncRead, AsyncWrite};
use sansio_sse::http1::{RequestHead, Response};
use sansio_sse::mcp::Principal;

use super::http::Http;
use crate::Asking;
use crate::runtime::Timer;
use crate::state::State;

/// Who asks, or the answer that refuses them; `None` if the client has gone meanwhile. Where there is no hook, all are
/// the same to us.
pub(super) async fn principal<Io, T>(
    state: &State,
    http: &mut Http<Io, T>,
    head: &RequestHead,
    peer: SocketAddr,
) -> Option<Result<Principal, Response>>
where
    Io: AsyncRead + AsyncWrite + Unpin,
    T: Timer,
{
    let Some(authenticate) = &state.service.authenticate else { return Some(Ok(Principal::anonymous())) };
    let asking = Asking { head: head.clone(), peer };
    let mut hook = pin!(AssertUnwindSafe(async { authenticate(asking).await }).catch_unwind());
    poll_fn(|cx| match hook.as_mut().poll(cx) {
        Poll::Ready(Ok(Ok(principal))) => Poll::Ready(Some(Ok(principal))),
        Poll::Ready(Ok(Err(refusal))) => {
            tracing::info!(%peer, method = head.method(), path = head.path(), status = refusal.status(), "refused");
            Poll::Ready(Some(Err(Response::from(&refusal))))
        }
        Poll::Ready(Err(_panic)) => {
            tracing::error!("the authentication hook has panicked; nobody is let in by that");
            Poll::Ready(Some(Err(Response::text(500, "the application has failed\n"))))
        }
        Poll::Pending => http.poll_gone(cx).map(|()| None),
    })
    .await
}
