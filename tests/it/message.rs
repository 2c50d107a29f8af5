//! JSON-RPC messages: what is one, what it is taken for, and that its tokens stay as they came.

use proptest::prelude::*;
use sansio_sse::mcp::{Body, Message, MessageError, MessageKind, error_body};

use MessageKind::{Notification, Request, Response};

#[test]
fn a_body_is_shown_as_it_goes_over_the_wire() {
    for (body, shown) in [
        (r#"{"jsonrpc":"2.0","method":"a"}"#, r#"{"jsonrpc":"2.0","method":"a"}"#),
        (
            r#" [ {"jsonrpc":"2.0","method":"a"} , {"jsonrpc":"2.0","id":1,"result":{}} ]"#,
            r#"[{"jsonrpc":"2.0","method":"a"},{"jsonrpc":"2.0","id":1,"result":{}}]"#,
        ),
    ] {
        assert_eq!(Body::parse(body.as_bytes(), 2).unwrap().to_string(), shown);
    }
}

#[test]
fn what_a_message_is_follows_from_its_members() {
    for (members, kind, id, method) in [
        (r#""id":1,"method":"ping""#, Request, Some("1"), Some("ping")),
        (r#""id":0,"method":"ping","params":{}"#, Request, Some("0"), Some("ping")),
        (r#""id":-7,"method":"ping","params":[]"#, Request, Some("-7"), Some("ping")),
        (r#""id":"a b","method":"ping""#, Request, Some(r#""a b""#), Some("ping")),
        (r#""id":"","method":"""#, Request, Some(r#""""#), Some("")),
        (r#""id":"1","method":"x""#, Request, Some(r#""1""#), Some("x")),
        (
            r#""id":123456789012345678901234567890,"method":"x""#,
            Request,
            Some("123456789012345678901234567890"),
            Some("x"),
        ),
        (r#""method":"notifications/initialized""#, Notification, None, Some("notifications/initialized")),
        (r#""method":"n","params":{"id":1}"#, Notification, None, Some("n")),
        (r#""id":1,"result":{}"#, Response, Some("1"), None),
        (r#""id":1,"result":null"#, Response, Some("1"), None),
        (r#""id":"x","result":[1,2]"#, Response, Some(r#""x""#), None),
        (r#""id":1,"error":{"code":-32601,"message":"no"}"#, Response, Some("1"), None),
        (r#""id":null,"error":{"code":-32700,"message":"no"}"#, Response, Some("null"), None),
        (r#""id":1,"method":"x","extra":{"method":1,"method":2}"#, Request, Some("1"), Some("x")),
        (r#""id":1,"method":"a\u002fb""#, Request, Some("1"), Some("a/b")),
        (r#""\u0069d":1,"m\u0065thod":"x""#, Request, Some("1"), Some("x")),
        (r#""id":1,"method":"x","methods":1,"identity":2,"_meta":{}"#, Request, Some("1"), Some("x")),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0",{members}}}"#);
        let message: Message = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((message.kind(), message.id(), message.method()), (kind, id, method), "{text}");
        assert_eq!((message.as_str(), message.len()), (text.as_str(), text.len()));
        assert_eq!(message.to_string(), text);
    }
}

#[test]
fn what_is_json_but_no_message_is_told_why() {
    const ID: &str = "id must be a string or a whole number";
    const OBJECT: &str = "a JSON-RPC message is one object";
    for (text, why) in [
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#, ID),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"x"}"#, ID),
        (r#"{"jsonrpc":"2.0","id":1e3,"method":"x"}"#, ID),
        (r#"{"jsonrpc":"2.0","id":null,"method":"x"}"#, ID),
        (r#"{"jsonrpc":"2.0","id":true,"method":"x"}"#, ID),
        (r#"{"jsonrpc":"2.0","id":{},"method":"x"}"#, ID),
        (r#"{"jsonrpc":"2.0","id":[1],"result":1}"#, ID),
        (r#"{"jsonrpc":"2.0","id":null,"result":1}"#, ID),
        ("{}", "jsonrpc must be \"2.0\""),
        (r#"{"id":1,"method":"x"}"#, "jsonrpc must be \"2.0\""),
        (r#"{"jsonrpc":"1.0","id":1,"method":"x"}"#, "jsonrpc must be \"2.0\""),
        (r#"{"jsonrpc":"2.0\u0000","id":1,"method":"x"}"#, "jsonrpc must be \"2.0\""),
        (r#"{"jsonrpc":2.0,"id":1,"method":"x"}"#, "jsonrpc and method must be strings"),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, "jsonrpc and method must be strings"),
        (r#"{"jsonrpc":"2.0","id":1,"method":null}"#, "jsonrpc and method must be strings"),
        (r#"{"jsonrpc":"2.0","method":"x","params":1}"#, "params must be an object or an array"),
        (r#"{"jsonrpc":"2.0","method":"x","params":"a"}"#, "params must be an object or an array"),
        (r#"{"jsonrpc":"2.0","method":"x","params":null}"#, "params must be an object or an array"),
        (r#"{"jsonrpc":"2.0"}"#, "neither a method nor an id"),
        (r#"{"jsonrpc":"2.0","result":1}"#, "neither a method nor an id"),
        (r#"{"jsonrpc":"2.0","id":1}"#, "an id, but no method, result or error"),
        (r#"{"jsonrpc":"2.0","id":1,"result":1,"error":{}}"#, "both a result and an error"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"x","result":1}"#, "a method and a result or error"),
        (r#"{"jsonrpc":"2.0","method":"x","error":{}}"#, "a method and a result or error"),
        ("[]", OBJECT),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"x"}]"#, OBJECT),
        ("1", OBJECT),
        ("null", OBJECT),
        (r#""text""#, OBJECT),
    ] {
        assert_eq!(Message::parse(text.as_bytes()), Err(MessageError::NotMessage { why }), "{text}");
    }
}

#[test]
fn check_15_a_batch_is_one_refused_message_and_not_some_accepted_ones() {
    let one = r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#;
    for batch in
        [format!("[{one}]"), format!("[{one},{one}]"), format!("{one}{one}"), format!("{one}\n{one}")]
    {
        assert!(Message::parse(batch.as_bytes()).is_err(), "{batch}");
    }
}

#[test]
fn check_25_a_key_that_another_reader_takes_for_a_known_one_is_refused() {
    const TWICE: &str = "a key comes twice";
    const LIKE: &str = "a key is too like one that the protocol knows";
    for (members, why) in [
        (r#""id":1,"method":"a","method":"b""#, TWICE),
        (r#""id":1,"id":1,"method":"a""#, TWICE),
        (r#""id":1,"\u0069d":2,"method":"a""#, TWICE),
        (r#""jsonrpc":"2.0","id":1,"method":"a""#, TWICE),
        (r#""id":1,"method":"a","params":{},"params":{}"#, TWICE),
        (r#""id":1,"result":1,"result":2"#, TWICE),
        (r#""id":1,"method":"a","_meta":1,"_meta":2"#, TWICE),
        (r#""id":1,"method":"a","_meta":1,"x":0,"\u005fmeta":2"#, TWICE),
        (r#""id":1,"method":"a","Method":"b""#, LIKE),
        (r#""ID":1,"method":"a""#, LIKE),
        (r#""id":1,"METHOD":"a""#, LIKE),
        (r#""id":1,"method":"a","param\u017f":{}"#, LIKE),
        (r#""id":1,"met\u0000hod":"a""#, LIKE),
        (r#""id":1,"\u004dethod":"a""#, LIKE),
        (r#""id":1,"method":"a","method\u0000":"b""#, LIKE),
        (r#""id":1,"method":"a","method\u0000\u0000x":"b""#, LIKE),
        (r#""id":1,"method":"a","Params\u001f":{}"#, LIKE),
        (r#""id":1,"method":"a"," method":"b""#, LIKE),
        (r#""id":1,"method":"a","method ":"b""#, LIKE),
        (r#""id":1,"result":1,"Error":{}"#, LIKE),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0",{members}}}"#);
        assert_eq!(Message::parse(text.as_bytes()), Err(MessageError::NotMessage { why }), "{text}");
    }
}

#[test]
fn an_error_is_an_object() {
    for error in ["null", "1", "\"text\"", "[]"] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#);
        let why = "error must be an object";
        assert_eq!(Message::parse(text.as_bytes()), Err(MessageError::NotMessage { why }), "{text}");
    }
}

#[test]
fn what_is_not_json_is_refused_as_such_however_it_begins() {
    let start = r#"{"jsonrpc":"2.0","id":1,"method":"x""#;
    for text in [
        "",
        " ",
        "{",
        "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\"}",
        start,
        &format!("{start}}}x"),
        &format!("{start}}}}}"),
        &format!("{start}}} {{}}"),
        &format!("{start},}}"),
        &format!("{start},\"params\":[1 2]}}"),
        &format!("{start},\"params\":[1\t\r\n2]}}"),
        &format!("{start},\"params\":[- 1]}}"),
        &format!("{start},\"params\":[1. 5]}}"),
        &format!("{start},\"params\":[nu ll]}}"),
        &format!("{start},\"params\":[true false]}}"),
        &format!("{start},\"params\":[\"a\" \"b\"]}}"),
        &format!("{start},\"params\":[01]}}"),
        &format!("{start},\"params\":[1,]}}"),
        &format!("{start},\"params\":[NaN]}}"),
        &format!("{start},\"params\":['a']}}"),
        &format!("{start},\"params\":[\"a\nb\"]}}"),
        &format!("{start},\"params\":[\"\\x\"]}}"),
        &format!("{start},\"params\":[\"\\"),
        &format!("{start},\"params\":[1]/**/}}"),
        &format!("{start},\u{a0}\"params\":[]}}"),
        &format!("{start},\u{b}\"params\":[]}}"),
        "{\"jsonrpc\":\"2.0\",\"id\":1 2,\"method\":\"x\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":\"\\ud800\"}",
        "{\"jsonrpc\":7,",
        "[1,",
        "1 2",
    ] {
        let error = Message::parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error, MessageError::NotJson { .. }), "{text:?}: {error}");
    }
}

#[test]
fn what_is_not_utf_8_is_refused_where_it_stops_being_it() {
    for (bytes, at) in [
        (&b"\xff"[..], 0),
        (b"{\"jsonrpc\":\"2.0\",\"method\":\"\xc3\"}", 27),
        (b"{\"jsonrpc\":\"2.0\",\"method\":\"x\"}\xed\xa0\x80", 30),
        (b"{}\xc0\x80", 2),
    ] {
        assert_eq!(Message::parse(bytes), Err(MessageError::NotUtf8 { at }), "{}", bytes.escape_ascii());
    }
}

#[test]
fn nesting_is_borne_to_128_levels_and_not_to_129() {
    let nested = |levels: usize, open: &str, core: &str, close: &str| {
        let (open, close) = (open.repeat(levels - 1), close.repeat(levels - 1));
        format!(r#"{{"jsonrpc":"2.0","method":"x","extra":{open}{core}{close}}}"#)
    };
    for (open, core, close) in [("[", "", "]"), (r#"{"a":"#, "1", "}")] {
        let deepest = nested(128, open, core, close);
        assert_eq!(Message::parse(deepest.as_bytes()).unwrap().as_str(), deepest);
        let deeper = nested(129, open, core, close);
        assert_eq!(Message::parse(deeper.as_bytes()), Err(MessageError::TooDeep));
    }
    assert_eq!(Message::parse(&[b'['; 1_000_000]), Err(MessageError::TooDeep));
    let side_by_side = format!(r#"{{"jsonrpc":"2.0","method":"x","params":[{}0]}}"#, "[],{},".repeat(200));
    assert!(Message::parse(side_by_side.as_bytes()).is_ok());
    let brackets_in_text = format!(r#"{{"jsonrpc":"2.0","method":"x","extra":"{}\"{{"}}"#, "[".repeat(500));
    assert!(Message::parse(brackets_in_text.as_bytes()).is_ok());
}

#[test]
fn s11_the_json_is_in_one_line_and_its_tokens_stay_byte_for_byte() {
    for (raw, wire) in [
        (" {\r\n\t\"jsonrpc\" : \"2.0\" ,\n\"method\":\"x\" } \n", r#"{"jsonrpc":"2.0","method":"x"}"#),
        (
            r#"{"jsonrpc":"2.0","method":"x","params":[1.0e+5, -0.0, 1E400, 0.10, 100000000000000000000001]}"#,
            r#"{"jsonrpc":"2.0","method":"x","params":[1.0e+5,-0.0,1E400,0.10,100000000000000000000001]}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"x","params":["\u0041 \/ \ud83d\ude00", "  ", " \" , : "]}"#,
            r#"{"jsonrpc":"2.0","method":"x","params":["\u0041 \/ \ud83d\ude00","  "," \" , : "]}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","method":"x","params":{"b":1, "a":2, "b":3}}"#,
            r#"{"jsonrpc":"2.0","method":"x","params":{"b":1,"a":2,"b":3}}"#,
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":[\"ü\u{2028}\u{85}\u{7f}\"]}",
            "{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":[\"ü\u{2028}\u{85}\u{7f}\"]}",
        ),
        (
            r#"{"jsonrpc":"2.0","method":"x","params":["\\", "\\\"", true , null]}"#,
            r#"{"jsonrpc":"2.0","method":"x","params":["\\","\\\"",true,null]}"#,
        ),
    ] {
        assert_eq!(Message::parse(raw.as_bytes()).unwrap().as_str(), wire, "{raw}");
    }
}

#[test]
fn each_error_has_its_code_and_a_body_that_is_json() {
    for (bytes, code) in [
        (&b"\xff"[..], -32700),
        (b"{", -32700),
        (&[b'['; 129], -32700),
        (b"[]", -32600),
        (b"{}", -32600),
        (br#"{"jsonrpc":"2.0","id":1,"method":"x","Method":"y"}"#, -32600),
        (br#"{"jsonrpc":7,"id":1,"method":"x"}"#, -32600),
        (br#"{"jsonrpc":"2.0","id":1.5,"method":"x"}"#, -32600),
    ] {
        let error = Message::parse(bytes).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        let body: serde_json::Value = serde_json::from_str(&error_body(&error)).unwrap();
        assert_eq!(body["jsonrpc"], "2.0");
        assert_eq!(body["id"], serde_json::Value::Null);
        assert_eq!(body["error"]["code"], code);
        assert!(body["error"]["message"].as_str().is_some_and(|text| !text.is_empty()));
        let kind = Message::parse(error_body(&error).as_bytes()).map(|message| message.kind());
        assert_eq!(kind, Ok(Response), "our own answer is a message");
    }
}

#[test]
fn check_29_an_error_repeats_nothing_of_what_was_sent() {
    for bytes in [&br#"{"secret":"#[..], br#"{"jsonrpc":"secret"}"#, br#"{"jsonrpc":"2.0","secret":1}"#] {
        let error = Message::parse(bytes).unwrap_err();
        assert!(!error_body(&error).contains("secret"), "{error}");
    }
}

#[test]
fn a_long_message_is_shown_in_part_and_never_in_the_middle_of_a_character() {
    for pad in 0..4 {
        let text =
            format!(r#"{{"jsonrpc":"2.0","method":"{}{}"}}"#, "x".repeat(pad), "\u{1f600}".repeat(100));
        let shown = format!("{:?}", Message::parse(text.as_bytes()).unwrap());
        assert!(shown.starts_with(&format!("Message({} bytes, {{", text.len())) && shown.len() < 230);
    }
}

proptest! {
    #[test]
    fn white_space_between_tokens_never_shows(
        (compact, spaced) in messages().prop_flat_map(|tokens| {
            let spaces = prop::collection::vec("[ \t\r\n]{0,3}", tokens.len() + 1);
            (Just(tokens), spaces).prop_map(|(tokens, spaces)| {
                let spaced = spaces.iter().zip(tokens.iter().map(String::as_str).chain([""]));
                (tokens.concat(), spaced.flat_map(|(space, token)| [space.as_str(), token]).collect::<String>())
            })
        })
    ) {
        let message = Message::parse(spaced.as_bytes()).unwrap();
        prop_assert_eq!(message.as_str(), &compact);
        prop_assert_eq!(Message::parse(compact.as_bytes()).unwrap(), message);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::parse(&bytes);
    }

    #[test]
    fn what_is_accepted_is_what_a_json_parser_reads_and_is_accepted_again(
        text in prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat()),
        framed in any::<bool>(),
    ) {
        let text = if framed { format!(r#"{{"jsonrpc":"2.0","method":"x"{text}}}"#) } else { text };
        let parsed = Message::parse(text.as_bytes());
        let as_json = serde_json::from_str::<serde_json::Value>(&text);
        if let Ok(message) = &parsed {
            prop_assert_eq!(serde_json::from_str(message.as_str()).ok(), as_json.ok(), "{}", text);
            prop_assert_eq!(Message::parse(message.as_str().as_bytes()), parsed.clone());
            prop_assert!(!message.as_str().contains(['\r', '\n']), "one line");
        } else if let Err(error) = parsed {
            prop_assert_eq!(error.code() == -32600, as_json.is_ok(), "{}: {}", text, error);
        }
    }
}

/// What JSON is made of, and what it is broken with.
const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    " ",
    "\n",
    "\t",
    "1",
    "0",
    "-",
    "1.5",
    "true",
    "null",
    "\"a\"",
    "\"id\":",
    ",\"id\":1",
    ",\"params\":[",
    ",\"params\":{\"a\":1}",
    ",\"result\":1",
    "\"method\":\"x\"",
    "é",
    "\u{0}",
    "\\u0041",
    ",\"a\":[1, 2]",
    ",\"b\":\" \"",
];

// ---- generators ----

/// The tokens of a message.
fn messages() -> impl Strategy<Value = Vec<String>> {
    let id = prop_oneof![any::<i64>().prop_map(|id| id.to_string()), string()];
    let tail = prop_oneof![
        (id.clone(), string(), container()).prop_map(|(id, method, params)| {
            [key("id"), vec![id], next("method"), vec![method], next("params"), params].concat()
        }),
        string().prop_map(|method| [key("method"), vec![method]].concat()),
        (id, value()).prop_map(|(id, result)| [key("id"), vec![id], next("result"), result].concat()),
    ];
    (tail, prop::option::of(value())).prop_map(|(tail, extra)| {
        let mut tokens =
            [vec!["{".into()], key("jsonrpc"), vec!["\"2.0\"".into(), ",".into()], tail].concat();
        if let Some(extra) = extra {
            tokens.extend(next("_meta"));
            tokens.extend(extra);
        }
        tokens.push("}".into());
        tokens
    })
}

fn key(name: &str) -> Vec<String> {
    vec![format!("\"{name}\""), ":".into()]
}

fn next(name: &str) -> Vec<String> {
    [vec![",".into()], key(name)].concat()
}

fn string() -> impl Strategy<Value = String> + Clone {
    let piece = prop_oneof![
        Just(" ".to_owned()),
        Just("\\\"".to_owned()),
        Just("\\\\".to_owned()),
        Just("\\u0041".to_owned()),
        Just("\\n".to_owned()),
        "[a-zü{}\\[\\],:0-9]{1,3}",
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn scalar() -> impl Strategy<Value = Vec<String>> + Clone {
    let number = "(-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?)";
    let words = prop::sample::select(vec!["true", "false", "null"]).prop_map(String::from);
    prop_oneof![
        number.prop_map(|token| vec![token]),
        words.prop_map(|word| vec![word]),
        string().prop_map(|s| vec![s])
    ]
}

fn value() -> BoxedStrategy<Vec<String>> {
    scalar().prop_recursive(4, 24, 4, |inner| nest(inner).boxed()).boxed()
}

fn container() -> impl Strategy<Value = Vec<String>> {
    nest(value())
}

fn nest(inner: impl Strategy<Value = Vec<String>> + Clone + 'static) -> impl Strategy<Value = Vec<String>> {
    let list = |open: &str, close: &str, items: Vec<Vec<String>>| {
        let mut tokens = vec![open.to_owned()];
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                tokens.push(",".into());
            }
            tokens.extend(item);
        }
        tokens.push(close.into());
        tokens
    };
    let array = prop::collection::vec(inner.clone(), 0..4).prop_map(move |items| list("[", "]", items));
    let member = (string(), inner).prop_map(|(name, value)| [vec![name, ":".into()], value].concat());
    let object = prop::collection::vec(member, 0..4).prop_map(move |items| list("{", "}", items));
    prop_oneof![array, object]
}
