//! Who may ask: `Host` and `Origin` against a list.

use sansio_sse::http1::{HeadLimits, RequestHead};
use sansio_sse::mcp::{HttpSse, Route, Routes};
use sansio_sse::{AccessError, AccessRules};
use serde_json::Value;

use crate::http1::cases::{decode_base64, replace};

#[test]
fn hurt_25_check_01_check_04_the_raw_requests_get_their_verdict() {
    let table: Value = serde_json::from_str(include_str!("../data/http1_requests.json")).unwrap();
    let routes = Routes::new(AccessRules::loopback()).http_sse("/sse", &HttpSse::default()).events("/events");
    let mut seen = 0;
    for case in table["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        if !["Host", "Origin", "absolute form", "TRACE", "media type"].iter().any(|word| name.contains(word))
        {
            continue;
        }
        seen += 1;
        let raw = replace(&decode_base64(case["raw_base64"].as_str().unwrap()), b"%PORT%", b"4444");
        // The table's POST names no session; that is not what its row is about.
        let raw = replace(&raw, b"/message ", b"/message?session_id=a ");
        let status = match RequestHead::parse(HeadLimits::default(), &mut &raw[..]) {
            Err(error) => Some(u64::from(error.status())),
            Ok(head) => match routes.route(&head.unwrap()) {
                Route::Answer(answer) => Some(u64::from(answer.status())),
                Route::Events(0) => None,
                other => panic!("{name}: {other:?}"),
            },
        };
        assert_eq!(status, case["status"].as_u64(), "{name}");
    }
    assert_eq!(seen, 19);
}

#[test]
fn loopback_lets_in_its_three_names_at_any_port_and_no_other_spelling() {
    for host in
        ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:65535", "[::1]", "[::1]:4444", "localhost:"]
    {
        assert_eq!(AccessRules::loopback().check(Some(host), none()), Ok(()), "{host}");
    }
    for host in [
        "localhost.",
        "localhost.evil.example",
        "evil-localhost",
        "evil.example:4444",
        "127.1",
        "127.0.0.2",
        "127.0.0.1.nip.io",
        "2130706433",
        "0x7f000001",
        "0.0.0.0",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "::1",
        "localhost@evil.example",
        "localhost:99999",
        "localhost:x",
        "localhost:80:80",
        "localhost/",
        "local host",
        "locälhost",
    ] {
        assert_eq!(AccessRules::loopback().check(Some(host), none()), Err(AccessError::Host), "{host}");
    }
    for host in [None, Some("")] {
        assert_eq!(AccessRules::loopback().check(host, none()), Err(AccessError::NoHost), "{host:?}");
    }
}

#[test]
fn check_02_an_origin_is_the_servers_own_or_configured_or_refused() {
    let rules = AccessRules::loopback().allow_origin("https://app.example").unwrap();
    for (host, origin) in [
        ("127.0.0.1:4444", "http://127.0.0.1:4444"),
        ("LocalHost:4444", "HTTP://LOCALHOST:4444"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("localhost", "http://localhost:80"),
        ("localhost:443", "https://localhost"),
        ("[::1]:4444", "http://[::1]:4444"),
        ("localhost:4444", "https://app.example"),
        ("localhost:4444", "https://app.example:443"),
        ("localhost:4444", "https://APP.example"),
    ] {
        assert_eq!(rules.check(Some(host), one(origin)), Ok(()), "{host} {origin}");
    }
    for origin in [
        "null",
        "",
        " ",
        "http://localhost",
        "http://localhost:4445",
        "http://127.0.0.1:4444",
        "http://localhost.evil.example:4444",
        "http://evil.example",
        "http://localhost:4444@evil.example",
        "http://evil.example@localhost:4444",
        "http://localhost:4444, http://evil.example",
        "http://localhost:4444 http://evil.example",
        "http://localhost:4444/",
        "http://localhost:4444/path",
        "http://localhost:4444?x",
        "http://localhost:4444#x",
        "http://localhost:4444\\.evil.example",
        "http://localhost:04444x",
        "http://localhost:69980",
        "ws://localhost:4444",
        "chrome-extension://localhost:4444",
        "file://",
        "localhost:4444",
        "//localhost:4444",
        "http:localhost:4444",
        "http://",
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://evil.app.example",
        "https://xapp.example",
        "*",
    ] {
        let checked = rules.check(Some("localhost:4444"), one(origin));
        assert_eq!(checked, Err(AccessError::Origin), "{origin:?}");
    }
    let not_text = [&b"http://localhost:4444\xff"[..]];
    assert_eq!(rules.check(Some("localhost:4444"), not_text.into_iter()), Err(AccessError::Origin));
}

#[test]
fn a_second_origin_is_refused_even_where_both_are_allowed() {
    let twice = [&b"http://localhost:4444"[..], b"http://localhost:4444"];
    let checked = AccessRules::loopback().check(Some("localhost:4444"), twice.into_iter());
    assert_eq!(checked, Err(AccessError::RepeatedOrigin));
}

#[test]
fn a_host_is_allowed_at_its_port_or_at_any() {
    let rules =
        AccessRules::loopback().allow_host("MCP.example").unwrap().allow_host("one.example:8443").unwrap();
    for (host, expected) in [
        ("mcp.example", true),
        ("mcp.EXAMPLE:1", true),
        ("one.example:8443", true),
        ("one.example", false),
        ("one.example:8444", false),
        ("xmcp.example", false),
        ("mcp.example.", false),
        ("localhost", true),
    ] {
        assert_eq!(rules.check(Some(host), none()).is_ok(), expected, "{host}");
    }
}

#[test]
fn with_any_host_a_rebound_name_is_no_origin_of_the_servers_own() {
    let rules = AccessRules::loopback().any_host();
    assert_eq!(rules.check(Some("evil.example"), none()), Ok(()));
    assert_eq!(
        rules.check(Some("evil.example"), one("http://evil.example")),
        Err(AccessError::Origin),
        "it was not let in by name"
    );
    assert_eq!(rules.check(Some("localhost"), one("http://localhost")), Ok(()));
    assert_eq!(rules.check(None, none()), Err(AccessError::NoHost));
    assert_eq!(rules.check(Some("a b"), none()), Err(AccessError::Host));
}

#[test]
fn what_is_no_host_or_origin_is_refused_when_it_is_configured() {
    for host in ["", "a b", "http://a", "a/b", "a:x", "*", "[::1", "a\r\nb", "user@a"] {
        // An asterisk is a character that a host name may have; it is no wildcard.
        assert_eq!(AccessRules::loopback().allow_host(host).is_err(), host != "*", "{host:?}");
    }
    for origin in
        ["", "*", "null", "a.example", "ws://a", "https://a/", "https://a?x", "https://u@a", "https://"]
    {
        let error = AccessRules::loopback().allow_origin(origin).unwrap_err();
        assert_eq!(
            (error.setting(), error.allowed()),
            ("allow_origin", "http(s)://host[:port]"),
            "{origin:?}"
        );
        assert_eq!(error.value(), format!("{origin:?}"));
    }
}

#[test]
fn check_30_cors_is_for_configured_origins_only() {
    let rules = AccessRules::loopback();
    for origin in ["http://localhost:4444", "http://127.0.0.1", "null", "*"] {
        assert!(!rules.cors_origin(origin), "{origin}: none is configured");
    }
    let rules = rules.allow_origin("https://app.example").unwrap();
    assert!(rules.cors_origin("https://app.example") && rules.cors_origin("https://APP.example:443"));
    assert!(!rules.cors_origin("http://app.example") && !rules.cors_origin("http://localhost:4444"));
}

// ---- helpers ----

fn none() -> impl Iterator<Item = &'static [u8]> {
    std::iter::empty()
}

fn one(origin: &str) -> impl Iterator<Item = &[u8]> {
    std::iter::once(origin.as_bytes())
}
