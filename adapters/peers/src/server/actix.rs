//! actix-web, with streaming bodies of bytes, formatted once for all.

use std::{convert::Infallible, error::Error, net::TcpListener};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, Responder, http::header::CACHE_CONTROL, web};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::hub::Hub;
use crate::contract::{Ask, FIRST, write_event};

type Events = web::Data<Hub<Bytes>>;

pub fn serve(listener: TcpListener, threads: usize) -> Result<(), Box<dyn Error>> {
    actix_web::rt::System::new().block_on(async {
        let hub = web::Data::new(Hub::<Bytes>::new());
        let app = move || {
            App::new()
                .app_data(hub.clone())
                .route("/events", web::get().to(events))
                .route("/publish", web::post().to(publish))
                .route("/stream", web::get().to(own))
                .route("/stats", web::get().to(async |hub: Events| hub.stats()))
        };
        let server = HttpServer::new(app).workers(threads).on_connect(|socket, _| {
            if let Some(socket) = socket.downcast_ref::<actix_web::rt::net::TcpStream>() {
                let _ = socket.set_nodelay(true); // It is gone then, which is seen elsewhere.
            }
        });
        Ok(server.listen(listener)?.run().await?)
    })
}

async fn events(hub: Events) -> impl Responder {
    let first = stream::once(async { Bytes::from(format!("data: {FIRST}\n\n")) });
    streaming(first.chain(hub.listen()))
}

async fn publish(hub: Events, request: HttpRequest) -> impl Responder {
    hub.publish(Ask::from_query(request.query_string()), event).await;
    HttpResponse::Ok()
}

async fn own(request: HttpRequest) -> impl Responder {
    let ask = Ask::from_query(request.query_string());
    streaming(stream::iter(1..=ask.n).map(move |seq| event(seq, ask.size)))
}

fn streaming(events: impl Stream<Item = Bytes> + 'static) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream").insert_header((CACHE_CONTROL, "no-cache"));
    response.streaming(events.map(Ok::<_, Infallible>))
}

fn event(seq: u64, size: usize) -> Bytes {
    let mut event = Vec::with_capacity(size + 16);
    write_event(&mut event, seq, size);
    event.into()
}
