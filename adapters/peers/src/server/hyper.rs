//! hyper by hand: a service that answers with bodies of bytes, formatted once for all.

use std::{convert::Infallible, error::Error, net::TcpListener};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    header::{CACHE_CONTROL, CONTENT_TYPE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;

use super::hub::{Hub, runtime};
use crate::contract::{Ask, FIRST, write_event};

type Body = UnsyncBoxBody<Bytes, Infallible>;

pub fn serve(listener: TcpListener, threads: usize) -> Result<(), Box<dyn Error>> {
    runtime(threads)?.block_on(async {
        let hub = Hub::new();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            let hub = hub.clone();
            tokio::spawn(async move {
                let service = service_fn(|request| answer(hub.clone(), request));
                // A client that hangs up is an error here.
                let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
            });
        }
    })
}

async fn answer(hub: Hub<Bytes>, request: Request<Incoming>) -> Result<Response<Body>, hyper::http::Error> {
    let ask = Ask::from_query(request.uri().query().unwrap_or_default());
    let body = match request.uri().path() {
        "/events" => {
            let first = stream::once(async { Bytes::from(format!("data: {FIRST}\n\n")) });
            StreamBody::new(first.chain(hub.listen()).map(|bytes| Ok(Frame::data(bytes)))).boxed_unsync()
        }
        "/stream" => {
            let events = stream::iter(1..=ask.n).map(move |seq| Ok(Frame::data(event(seq, ask.size))));
            StreamBody::new(events).boxed_unsync()
        }
        "/publish" => {
            hub.publish(ask, event).await;
            return Response::builder().body(Full::default().boxed_unsync());
        }
        "/stats" => return Response::builder().body(Full::from(hub.stats()).boxed_unsync()),
        _ => return Response::builder().status(404).body(Full::default().boxed_unsync()),
    };
    Response::builder().header(CONTENT_TYPE, "text/event-stream").header(CACHE_CONTROL, "no-cache").body(body)
}

fn event(seq: u64, size: usize) -> Bytes {
    let mut event = Vec::with_capacity(size + 16);
    write_event(&mut event, seq, size);
    event.into()
}
