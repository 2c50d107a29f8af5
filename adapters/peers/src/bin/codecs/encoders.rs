//! Every encoder behind one function: the data of messages in, bytes out.

use std::convert::Infallible;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use actix_web::body::MessageBody;
use axum::response::IntoResponse;
use bytestring::ByteString;
use futures_util::stream;
use http_body::Body;
use sansio_sse::Frame;

/// One encoder: it hands each encoded message to the sink.
pub struct Subject {
    pub name: &'static str,
    pub is_peer: bool,
    pub check: fn(&[&'static str]) -> Vec<u8>,
    pub time: fn(&[&'static str]),
}

macro_rules! subject {
    ($name:expr, $is_peer:expr, $run:ident) => {
        Subject {
            name: $name,
            is_peer: $is_peer,
            check: |texts| {
                let mut wire = Vec::new();
                $run(texts, |bytes| wire.extend_from_slice(bytes));
                wire
            },
            time: |texts| {
                $run(texts, |bytes| {
                    black_box(bytes);
                })
            },
        }
    };
}

/// Ours first, then the peers, then a program that does it by hand.
pub fn all() -> [Subject; 6] {
    [
        subject!("**ours, into a buffer that is used again**", false, into_buffer),
        subject!("ours, as a shared `Frame`", false, shared),
        subject!("`sse-stream` 0.3", true, sse_stream),
        subject!("actix-web-lab 0.29", true, actix),
        subject!("axum 0.8", true, axum),
        subject!("by hand, into a `Vec` that is used again", false, by_hand),
    ]
}

/// The limit of encoding: each message copied as it is to be.
pub fn memcpy(frames: &[Vec<u8>]) {
    let mut out = Vec::with_capacity(128 << 10);
    for frame in frames {
        out.clear();
        out.extend_from_slice(frame);
        black_box(&out);
    }
}

fn into_buffer(texts: &[&'static str], mut sink: impl FnMut(&[u8])) {
    let mut out = Vec::with_capacity(128 << 10);
    for text in texts {
        out.clear();
        Frame::write_message(text, &mut out);
        sink(&out);
    }
}

fn shared(texts: &[&'static str], mut sink: impl FnMut(&[u8])) {
    for text in texts {
        sink(Frame::message(text).as_bytes());
    }
}

fn by_hand(texts: &[&'static str], mut sink: impl FnMut(&[u8])) {
    let mut out = Vec::with_capacity(128 << 10);
    for text in texts {
        out.clear();
        let mut rest = text.as_bytes();
        while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(&rest[..at]);
            out.push(b'\n');
            rest = &rest[at + if rest[at..].starts_with(b"\r\n") { 2 } else { 1 }..];
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(rest);
        out.extend_from_slice(b"\n\n");
        sink(&out);
    }
}

fn sse_stream(texts: &[&'static str], mut sink: impl FnMut(&[u8])) {
    for text in texts {
        sink(&sse_stream::Sse::default().data(*text).encode().expect("data is never refused"));
    }
}

/// Its events are only encoded by the body of a response.
fn axum(texts: &[&'static str], mut sink: impl FnMut(&[u8])) {
    let events =
        texts.iter().map(|text| Ok::<_, Infallible>(axum::response::sse::Event::default().data(text)));
    let events: Vec<_> = events.collect();
    let body = axum::response::Sse::new(stream::iter(events)).into_response().into_body();
    let mut body = pin!(body);
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut context) {
        if let Ok(bytes) = frame.expect("nothing fails").into_data() {
            sink(&bytes);
        }
    }
}

/// Its events are only encoded by the body of a response.
fn actix(texts: &[&'static str], mut sink: impl FnMut(&[u8])) {
    let events = texts.iter().map(|text| actix_web_lab::sse::Data::new(ByteString::from_static(text)).into());
    let events: Vec<actix_web_lab::sse::Event> = events.collect();
    let mut body = pin!(actix_web_lab::sse::Sse::from_infallible_stream(stream::iter(events)));
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(bytes)) = Pin::as_mut(&mut body).poll_next(&mut context) {
        sink(&bytes.expect("nothing fails"));
    }
}
