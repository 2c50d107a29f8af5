//! axum, as its documentation shows event streams: `Sse` over a stream of `Event`s, fed by a broadcast channel.

use std::{convert::Infallible, error::Error, net::TcpListener, sync::Arc};

use axum::{
    Router,
    extract::{RawQuery, State},
    response::sse::{Event, Sse},
    routing::{get, post},
    serve::ListenerExt,
};
use futures_util::{Stream, StreamExt, stream};

use super::hub::{Hub, runtime};
use crate::contract::{Ask, FIRST, message};

type Events = Hub<Arc<str>>;

pub fn serve(listener: TcpListener, threads: usize) -> Result<(), Box<dyn Error>> {
    runtime(threads)?.block_on(async {
        let app = Router::new()
            .route("/events", get(events))
            .route("/publish", post(publish))
            .route("/stream", get(own))
            .route("/stats", get(async |State(hub): State<Events>| hub.stats()))
            .with_state(Events::new());
        let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|socket| {
            let _ = socket.set_nodelay(true); // It is gone then, which is seen elsewhere.
        });
        Ok(axum::serve(listener, app).await?)
    })
}

async fn events(State(hub): State<Events>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let first = stream::once(async { Ok(Event::default().data(FIRST)) });
    Sse::new(first.chain(hub.listen().map(|data| Ok(Event::default().data(data)))))
}

async fn publish(State(hub): State<Events>, RawQuery(query): RawQuery) {
    hub.publish(Ask::from_query(&query.unwrap_or_default()), |seq, size| message(seq, size).into()).await;
}

async fn own(RawQuery(query): RawQuery) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ask = Ask::from_query(&query.unwrap_or_default());
    Sse::new(stream::iter(1..=ask.n).map(move |seq| Ok(Event::default().data(message(seq, ask.size)))))
}
