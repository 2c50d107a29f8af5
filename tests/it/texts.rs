//! What people read: every error and every end says itself in half a line, and its parts are in it.

use std::fmt::Display;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use sansio_sse::http1::{
    CommandError, HeadLimits, HeaderError, HttpError, RequestHead, ResponseEvent, ResponseReader,
};
use sansio_sse::mcp::{
    MessageError, NotSent, Principal, Refusal, RevisionError, SendError, SessionEnd, SessionId,
    SessionIdError, StreamableEnd, Unfit, VersionError, VersionFacts,
};
use sansio_sse::{
    AccessError, Close, CloseReason, Decoder, Disconnect, EventError, EventIdError, EventStream, Field,
    FieldError, Frame, LastEventId, LastEventIdError, Lost, Manner, PushError, Refused, ReplayError,
    SourceCloseReason, StreamConfig, Tick, TooLarge,
};

const MS: Duration = Duration::from_millis(1701);

#[test]
fn ends_are_half_a_line_each_and_name_their_numbers() {
    let disconnects = [Disconnect::Eof, Disconnect::Reset, Disconnect::TimedOut, Disconnect::Io];
    let reasons = [
        CloseReason::Finished,
        CloseReason::Aborted,
        CloseReason::Stalled { for_: MS },
        CloseReason::Lagged { behind: MS },
        CloseReason::DrainTimedOut,
        CloseReason::Expired,
        CloseReason::Spinning { empty_writes: 1701 },
        CloseReason::RapidFrames { frames: 1701 },
        CloseReason::FaultLimit { faults: 1701 },
        CloseReason::Abandoned,
        CloseReason::Superseded,
    ];
    let reasons = reasons.into_iter().chain(disconnects.map(CloseReason::Disconnected)).collect::<Vec<_>>();
    let lost = [Lost::ConnectTimedOut { after: MS }, Lost::Silent { for_: MS }];
    let lost = lost.into_iter().chain(disconnects.map(Lost::Disconnected)).collect::<Vec<_>>();
    let last = Close {
        reason: CloseReason::Expired,
        manner: Manner::Abort,
        at: Tick::ZERO,
        undelivered: 0,
        last_delivered: None,
    };
    let refused = [
        Refused::Status(1701),
        Refused::MediaType,
        Refused::Location,
        Refused::TooManyRedirects { limit: 170 },
    ];
    check(&disconnects);
    check(&reasons);
    check(&lost);
    check(&refused);
    check(&[
        SessionEnd::Closed(last),
        SessionEnd::NotResumed { last },
        SessionEnd::ByApplication,
        SessionEnd::ServerStopped { last },
    ]);
    check(&[
        SourceCloseReason::Closed,
        SourceCloseReason::Refused(Refused::MediaType),
        SourceCloseReason::TooLarge(TooLarge::Event { limit: 1701 }),
        SourceCloseReason::GaveUp { reconnects: 1701, lost: Lost::Disconnected(Disconnect::Eof) },
    ]);
}

#[test]
fn errors_of_the_stream_are_half_a_line_each_and_name_their_numbers() {
    let fields = [Field::Comment, Field::Event, Field::Id];
    check(&fields.map(|field| FieldError::LineBreak { field, at: 1701 }));
    check(&fields.map(|field| FieldError::Nul { field, at: 1701 }));
    check(&[PushError::Full(Frame::priming()), PushError::Closed(Frame::priming())]);
    let field = FieldError::Nul { field: Field::Id, at: 1701 };
    check(&[EventError::Full, EventError::Closed, EventError::Field(field)]);
    check(&[ReplayError::OtherStream, ReplayError::NotIssued]);
    check(&[TooLarge::Event { limit: 1701 }, TooLarge::LastEventId { limit: 1701 }]);
    check(&[EventIdError]);
    check(&[
        LastEventIdError::Empty,
        LastEventIdError::TooLong { limit: 1701 },
        LastEventIdError::Forbidden { at: 1701 },
    ]);
    let message = || "{\"jsonrpc\":\"2.0\",\"method\":\"m\"}".parse().unwrap();
    check(&[SendError::Full(message()), SendError::Closed(message())]);
    check(&[
        SessionIdError::Empty,
        SessionIdError::Character { at: 1701 },
        SessionIdError::TooLong { len: 1701 },
    ]);
    check(&[
        MessageError::NotUtf8 { at: 1701 },
        MessageError::NotJson { at: 1701 },
        MessageError::TooDeep,
        MessageError::NotMessage { why: "no method" },
    ]);
}

#[test]
fn errors_of_streamable_http_are_half_a_line_each() {
    let message = || note();
    let unfit = [
        Unfit::NoResponse,
        Unfit::OtherId,
        Unfit::Response,
        Unfit::Request,
        Unfit::NoStream,
        Unfit::Subscription,
    ];
    check(&unfit);
    check(&[
        NotSent::Full(message()),
        NotSent::Gone(message()),
        NotSent::Unfit { message: message(), why: unfit[0] },
    ]);
    check(&[
        VersionError::Unsupported { requested: String::from("1701") },
        VersionError::MissingHeader,
        VersionError::Mismatch,
        VersionError::MissingMeta,
    ]);
    let header = "\u{fc}".repeat(5_000);
    let facts = VersionFacts { header: Some(&header), body: sansio_sse::mcp::BodyFacts::None, session: None };
    let error = facts.decide(sansio_sse::mcp::Revisions::all()).unwrap_err();
    assert!(error.to_string().len() < 200, "what a client sent is not repeated at length");
    check(&[RevisionError]);
    check(&[Refusal::forbidden(), Refusal::unauthorized("Bearer").unwrap()]);
    check(&[
        StreamableEnd::ByClient,
        StreamableEnd::ByApplication,
        StreamableEnd::Refused,
        StreamableEnd::NeverBegun,
        StreamableEnd::Idle,
        StreamableEnd::Displaced,
        StreamableEnd::ServerStopped,
    ]);
}

#[test]
fn errors_of_http_are_half_a_line_each_and_name_their_numbers() {
    let name = || String::from("X-1701");
    check(&[
        HttpError::BareLineEnd { at: 1701 },
        HttpError::Control { byte: 0x17, at: 1701 },
        HttpError::EmptyLines,
        HttpError::RequestLine,
        HttpError::StatusLine,
        HttpError::Http2,
        HttpError::Version,
        HttpError::Target,
        HttpError::Connect,
        HttpError::HeaderLine,
        HttpError::HostMissing,
        HttpError::HostRepeated,
        HttpError::HostMalformed,
        HttpError::BothLengths,
        HttpError::ContentLength,
        HttpError::TransferEncoding,
        HttpError::UnknownCoding,
        HttpError::HeadTooLarge { limit: 1701 },
        HttpError::TargetTooLong { limit: 1701 },
        HttpError::TooManyHeaders { limit: 1701 },
        HttpError::BodyTooLarge { limit: 1701 },
        HttpError::ChunkSize,
        HttpError::ChunkEnd,
        HttpError::ChunkExtensions { limit: 1701 },
        HttpError::Trailer,
        HttpError::TrailersTooLarge { limit: 1701 },
        HttpError::HeadTimedOut,
        HttpError::BodyTimedOut,
        HttpError::Truncated,
        HttpError::Interim,
    ]);
    check(&[
        HeaderError::Name { name: name() },
        HeaderError::Value { name: name(), at: 1701 },
        HeaderError::Reserved { name: name() },
        HeaderError::Method,
        HeaderError::Target,
        HeaderError::Authority,
    ]);
    check(&[CommandError::OutOfPhase, CommandError::NoBody]);
    check(&[AccessError::NoHost, AccessError::Host, AccessError::Origin, AccessError::RepeatedOrigin]);
}

#[test]
fn a_tick_is_seconds_to_the_microsecond() {
    assert_eq!(Tick::from_micros(61_000_007).to_string(), "61.000007s");
}

#[test]
fn debug_shows_the_length_of_what_may_be_long_and_only_its_beginning() {
    let frame = format!("{:?}", Frame::message(&"x".repeat(5000)));
    assert!(frame.contains("5008 bytes") && frame.len() < 200, "{frame}");
    // The 200th byte is within a character.
    let text = format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{}\"}}", "\u{fc}".repeat(3000));
    let message: sansio_sse::mcp::Message = text.parse().unwrap();
    let shown = format!("{message:?}");
    assert!(shown.contains("bytes, {\"jsonrpc\"") && shown.len() < 300, "{shown}");
    assert_eq!(format!("{:?}", SessionId::parse("a-1").unwrap()), "SessionId(a-1)");
}

/// Logs are no place for what people say, nor for what lets them in.
#[test]
fn debug_shows_sizes_and_ids_but_no_payloads_and_no_credentials() {
    let mut decoder = Decoder::new(NonZeroUsize::MAX);
    let mut input = &b"id: 7\n\ndata: secret\nevent: secret\ndata: sec"[..];
    while decoder.decode(&mut input).is_some() {}
    let mut reader = ResponseReader::new(HeadLimits::default(), 64, "GET");
    let response = b"HTTP/1.1 200 OK\r\nSet-Cookie: secret\r\nContent-Length: 0\r\n\r\n";
    let Ok(Some(ResponseEvent::Head(response))) = reader.read(&mut &response[..]) else { panic!("no head") };
    let request = b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: secret\r\n\r\n";
    let request = RequestHead::parse(HeadLimits::default(), &mut &request[..]).unwrap().unwrap();
    let mut stream = EventStream::new(Tick::ZERO, Arc::new(StreamConfig::default()));
    stream.push(Tick::ZERO, Frame::message("secret")).unwrap();
    let step = stream.poll();
    let shown: [(&dyn std::fmt::Debug, &str); 7] = [
        (&decoder, ", last_event_id: Some(LastEventId(\"7\")), failed: None"),
        (&response, "status: 200, version: Http11, headers: 2"),
        (&request, "headers: 2"),
        (&step, "Transmit(14 bytes)"),
        (&Principal::named("amy"), "Principal(\"amy\")"),
        (&Principal::anonymous(), "Principal(anonymous)"),
        (&LastEventId::new("a-1").unwrap(), "LastEventId(\"a-1\")"),
    ];
    for (value, part) in shown {
        let text = format!("{value:?}");
        assert!(text.contains(part) && !text.contains("secret"), "{text}");
    }
}

// ---- helpers ----

fn note() -> sansio_sse::mcp::Message {
    "{\"jsonrpc\":\"2.0\",\"method\":\"m\"}".parse().unwrap()
}

/// All differ, begin small, hold no line break and no full stop at the end; a number that stands in the value
/// stands in its text.
fn check<T: Display + std::fmt::Debug>(values: &[T]) {
    let mut seen = Vec::new();
    for value in values {
        let (text, debug) = (value.to_string(), format!("{value:?}"));
        let begins_small = text.split(' ').next().is_some_and(|word| {
            !word.starts_with(|c: char| c.is_ascii_uppercase())
                || !word.contains(|c: char| c.is_ascii_lowercase())
        });
        assert!(begins_small && !text.is_empty() && !text.starts_with("error"), "{text:?}");
        assert!(!text.contains(['\r', '\n']) && !text.ends_with('.'), "{text:?}");
        for number in ["1701", "1.701s", "170"] {
            assert!(!debug.contains(number) || text.contains(number), "{text:?} of {debug}");
        }
        assert!(!seen.contains(&text), "{text:?} comes twice");
        seen.push(text);
    }
}
