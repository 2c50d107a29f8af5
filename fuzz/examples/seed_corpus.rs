//! Writes the part of the corpus that is made, not found: the shared cases and a few by hand, each under its name.
//! `cargo run --example seed_corpus` in `fuzz/`; it changes nothing that is there under another name.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Targets that cut their input take the place from the first byte: here the middle.
const CUT: u8 = 0x80;
/// Larger files are left to the tests.
const MOST: usize = 2048;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut corpus = Corpus::default();
    event_streams(&mut corpus, &cases("event_stream.json")?);
    requests(&mut corpus, &cases("http1_requests.json")?);
    by_hand(&mut corpus);
    let files = corpus.write(Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").as_path())?;
    println!("{files} files");
    Ok(())
}

fn cases(file: &str) -> Result<Vec<Value>, Box<dyn std::error::Error>> {
    let text = fs::read_to_string(format!("{}/../tests/data/{file}", env!("CARGO_MANIFEST_DIR")))?;
    let mut file: Value = serde_json::from_str(&text)?;
    match file["cases"].take() {
        Value::Array(cases) => Ok(cases),
        other => Err(format!("cases is {other}").into()),
    }
}

#[derive(Default)]
struct Corpus(BTreeMap<(&'static str, String), Vec<u8>>);

impl Corpus {
    /// A file for `target`, cut in the middle, under `name` without what a file's name should not hold.
    fn add(&mut self, target: &'static str, name: &str, input: &[u8]) {
        self.add_raw(target, name, [&[CUT], input].concat());
    }

    fn add_raw(&mut self, target: &'static str, name: &str, input: Vec<u8>) {
        let parts = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
        let stem = parts.collect::<Vec<_>>().join("-").to_lowercase();
        if input.len() > MOST {
            return;
        }
        let mut free = (1..).map(|n| if n == 1 { stem.clone() } else { format!("{stem}-{n}") });
        let name = free.find(|name| !self.0.contains_key(&(target, name.clone())));
        self.0.insert((target, name.unwrap_or_default()), input);
    }

    fn write(&self, to: &Path) -> io::Result<usize> {
        for ((target, name), input) in &self.0 {
            fs::create_dir_all(to.join(target))?;
            fs::write(to.join(target).join(name), input)?;
        }
        Ok(self.0.len())
    }
}

/// Bodies for the decoder, and the same bodies as responses.
fn event_streams(corpus: &mut Corpus, cases: &[Value]) {
    let decoded = |value: &Value| STANDARD.decode(value.as_str().unwrap_or_default()).unwrap_or_default();
    for case in cases {
        let name = case["name"].as_str().unwrap_or_default();
        match case["kind"].as_str() {
            Some("parse") => corpus.add("decode", name, &decoded(&case["input_base64"])),
            Some("response") => {
                let (status, media_type) =
                    (&case["status"], case["content_type"].as_str().unwrap_or_default());
                let head = format!("HTTP/1.1 {status} \r\nContent-Type: {media_type}\r\n\r\n:\n\n");
                corpus.add("http1_response", name, head.as_bytes());
            }
            Some("session") => {
                let steps = case["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
                for (at, step) in steps.iter().enumerate() {
                    let name = format!("{name} step {at}");
                    let body = decoded(&step["body_base64"]);
                    if !body.is_empty() {
                        corpus.add("decode", &name, &body);
                    }
                    let mut response = format!(
                        "HTTP/1.1 {} OK\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
                        step["status"],
                        step["content_type"].as_str().unwrap_or_default()
                    )
                    .into_bytes();
                    for line in body.split_inclusive(|byte| *byte == b'\n') {
                        response.extend([format!("{:x}\r\n", line.len()).as_bytes(), line, b"\r\n"].concat());
                    }
                    response.extend_from_slice(b"0\r\n\r\n");
                    corpus.add("http1_response", &name, &response);
                    if let Some(id) = step["request_last_event_id"].as_str() {
                        corpus.add_raw("last_event_id", &name, id.as_bytes().to_vec());
                    }
                }
            }
            _ => {}
        }
    }
}

fn requests(corpus: &mut Corpus, cases: &[Value]) {
    for case in cases {
        let name = case["name"].as_str().unwrap_or_default();
        let raw = STANDARD.decode(case["raw_base64"].as_str().unwrap_or_default()).unwrap_or_default();
        // Ports are of no matter here.
        let raw =
            String::from_utf8(raw.clone()).map_or(raw, |text| text.replace("%PORT%", "4444").into_bytes());
        corpus.add("http1_request", name, &raw);
        corpus.add("route", name, &raw);
    }
}

/// What the shared cases have nothing for.
fn by_hand(corpus: &mut Corpus) {
    for (name, text) in [
        ("request", r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#),
        ("response", r#"{"jsonrpc":"2.0","id":"a","result":{"a":[1,2.5e+3,null,true]}}"#),
        ("notification", r#"{"jsonrpc":"2.0","method":"n","params":[]}"#),
        ("error", r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}"#),
        ("batch", r#"[{"jsonrpc":"2.0","method":"n"}]"#),
        ("spaces", " {\n\"jsonrpc\" : \"2.0\",\r\n\t\"id\":-1 , \"method\":\"x\" } "),
        ("escapes", r#"{"jsonrpc":"2\u002e0","id":"\ud83d\ude00","m\u0065thod":"\"\\\/\b\f\n\r\t"}"#),
        ("a lone surrogate", r#"{"jsonrpc":"2.0","id":1,"method":"x","params":["\ud83d"]}"#),
        ("a number beyond a double", r#"{"jsonrpc":"2.0","id":1,"method":"x","params":[1e999]}"#),
        ("an id beyond 64 bits", r#"{"jsonrpc":"2.0","id":123456789012345678901234567890,"result":0}"#),
        ("a fraction as id", r#"{"jsonrpc":"2.0","id":1.0,"method":"x"}"#),
        ("a key twice", r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}"#),
        ("a key twice by escape", r#"{"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"x"}"#),
        ("a deceptive key", r#"{"jsonrpc":"2.0","id":1,"method":"x","Method":"y"}"#),
        ("two numbers", "{\"jsonrpc\":\"2.0\",\"id\":1 2,\"method\":\"x\"}"),
        ("behind the end", r#"{"jsonrpc":"2.0","id":1,"method":"x"}}"#),
    ] {
        corpus.add("message", name, text.as_bytes());
    }
    for (levels, name) in [(128, "128 levels"), (129, "129 levels")] {
        let (open, close) = ("[".repeat(levels - 1), "]".repeat(levels - 1));
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{open}{close}}}"#);
        corpus.add("message", name, text.as_bytes());
    }

    for (name, flags, fields) in [
        ("message", 0b0000_1000, ["", "", "", "hello", ""]),
        ("all fields", 0b0001_1111, ["c", "tick", "7", "one\r\ntwo\rthree\n", "\u{5}"]),
        ("all fields with crlf", 0b0011_1111, [" c", "ü", "2a.7", "\n\r\n", "\u{5}\u{1}"]),
        ("comment", 0b0000_0001, ["still here", "", "", "", ""]),
        ("empty fields", 0b0001_1111, ["", "", "", "", ""]),
        ("a forged event", 0b0000_1010, ["", "tick\ndata: forged", "", "x", ""]),
        ("an id with nul", 0b0000_1100, ["", "", "a\0", "x", ""]),
        ("a comment with cr", 0b0000_1001, ["a\rdata: forged", "", "", "x", ""]),
        ("colons and marks", 0b0000_1111, [":", ":x", "\u{feff}", "\u{feff}data: x", ""]),
        (
            "retry beyond 64 bits",
            0b0101_0000,
            ["", "", "", "", "\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}"],
        ),
    ] {
        let fields = fields.map(str::as_bytes).join(&0xFF);
        corpus.add_raw("round_trip", name, [&[flags, CUT][..], &fields].concat());
    }

    for (name, text) in [
        ("of ours", "2a.7"),
        ("the largest", "ffffffffffffffff.18446744073709551615"),
        ("too large", "10000000000000000.18446744073709551616"),
        ("upper case", "2A.7"),
        ("leading zeros", "02.07"),
        ("no dot", "27"),
        ("two dots", "1.2.3"),
        ("signs", "+1.-1"),
        ("zero", "0.0"),
        ("nul", "a\0b"),
        ("a forged header", "1\r\nHost: evil.example"),
        ("not ascii", "…"),
        ("spaces around", " 2a.7 "),
        ("empty", ""),
    ] {
        corpus.add_raw("last_event_id", name, text.as_bytes().to_vec());
    }

    for (name, operations) in [
        ("posted and taken", &[0x00, 0, 0x02, 9, 0x02, 9, 0x06, 0, 0x06, 0][..]),
        ("held and let in", &[0x00, 0, 2, 60, 2, 60, 2, 60, 2, 60, 6, 0, 6, 0]),
        ("held too long", &[0x00, 0, 2, 60, 2, 60, 2, 60, 2, 60, 14, 99, 14, 2]),
        ("refused", &[0x00, 0, 2, 60, 2, 60, 2, 60, 2, 60, 2, 60, 2, 60, 2, 60]),
        ("withdrawn", &[0x00, 0, 2, 60, 2, 60, 2, 60, 2, 60, 8, 0, 6, 0]),
        ("taken up again", &[0x00, 0, 10, 0, 14, 100, 9, 0, 14, 250, 11, 0]),
        ("not taken up", &[0x00, 0, 2, 9, 10, 0, 14, 250, 14, 100]),
        ("superseded", &[0x00, 0, 9, 0, 11, 0, 11, 0]),
        ("finishing", &[0x00, 0, 2, 60, 2, 60, 2, 60, 2, 60, 13, 0, 2, 1, 6, 0, 11, 0]),
        ("stopped", &[0x00, 0, 10, 0, 0x10, 0, 14, 255, 0x1c, 0]),
        ("full", &[0x00, 0, 0x10, 0, 0x20, 0, 12, 0, 0x20, 0]),
        ("a late look", &[0x00, 0, 2, 60, 2, 60, 2, 60, 2, 60, 15, 250, 6, 0, 14, 0]),
    ] {
        corpus.add_raw("sessions", name, operations.to_vec());
    }

    for (name, operations) in [
        ("pushed and written", &[0, 0, 9, 5, 60, 13, 255, 14, 255, 16, 20, 20, 0, 13, 255][..]),
        ("written in parts", &[0b110, 0, 200, 9, 10, 9, 100, 13, 255, 28, 1, 13, 255]),
        ("never written", &[0b10, 0, 9, 16, 89, 20, 0, 16, 1, 20, 0, 0, 9]),
        ("reset", &[0, 0, 9, 9, 90, 30, 1, 0, 9, 13, 255]),
        ("rapid frames", &[0x81, 31, 30, 13, 0, 0, 9, 13, 0, 0, 9, 13, 0, 0, 9, 13, 0, 0, 9, 13, 0]),
        ("time goes back", &[0b100000, 0, 9, 16, 80, 19, 200, 20, 0, 13, 0, 16, 50, 20, 0, 16, 255, 20, 0]),
        ("expired", &[0b100010, 16, 255, 20, 0, 13, 0, 16, 255, 20, 0, 13, 0, 16, 255, 20, 0, 13, 0]),
        ("replaced", &[0b10, 31, 40, 5, 9, 13, 0, 30, 12, 5, 9]),
    ] {
        corpus.add_raw("event_stream", name, operations.to_vec());
    }

    let head = "HTTP/1.1 200 OK\r\n";
    for (name, text) in [
        ("length", format!("{head}Content-Length: 5\r\n\r\nhello")),
        ("until close", "HTTP/1.0 200 OK\r\n\r\nhello".to_owned()),
        (
            "interim",
            format!(
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n{head}Content-Length: 0\r\n\r\n"
            ),
        ),
        ("switching", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n".to_owned()),
        (
            "extension and trailer",
            format!("{head}Transfer-Encoding: chunked\r\n\r\n5;a=\"b\"\r\nhello\r\n0\r\nX: y\r\n\r\n"),
        ),
        ("both lengths", format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nhello")),
        ("no reason", "HTTP/1.1 204\r\n\r\n".to_owned()),
        ("bare lf", "HTTP/1.1 200 OK\nContent-Length: 0\n\n".to_owned()),
        ("a body beyond its limit", format!("{head}Content-Length: 65\r\n\r\n{}", "x".repeat(65))),
    ] {
        corpus.add("http1_response", name, text.as_bytes());
    }

    let get = "GET /sse HTTP/1.1\r\nHost: localhost\r\n";
    for (name, text) in [
        ("taken up again", format!("{get}Accept: text/event-stream\r\nLast-Event-ID: 2a.7\r\n\r\n")),
        ("origin of its own", format!("{get}Origin: http://localhost\r\n\r\n")),
        ("preflight", "OPTIONS /message HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\n\r\n".to_owned()),
        ("post and get", format!("POST /message?session_id=abc HTTP/1.1\r\nHost: [::1]:4444\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{{}}{get}\r\n")),
        ("expect", "POST /message?session_id=abc HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nA: b\r\n\r\n".to_owned()),
        (
            "chunks of two digits",
            format!(
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1f\r\n{}\r\n0010\r\n{}\r\n0\r\n\r\n",
                "x".repeat(0x1f),
                "y".repeat(0x10)
            ),
        ),
        ("absolute target", "GET HTTP://localhost:4444?a HTTP/1.1\r\nHost: other\r\n\r\n".to_owned()),
        ("escaped host", "GET http://a%41/ HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        ("later version", "GET / HTTP/1.7\r\nHost: h\r\n\r\n".to_owned()),
        ("old version kept", "GET /sse HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET /sse HTTP/1.0\r\n\r\n".to_owned()),
        ("backtick in the path", "GET /a` HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        ("quotes in the query", "GET /?\"<`> HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        ("what browsers leave", "GET /a|b^[]{}?`'\\ HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
    ] {
        corpus.add("http1_request", name, text.as_bytes());
        corpus.add("route", name, text.as_bytes());
    }
}
