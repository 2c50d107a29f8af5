//! The program `mcp-sse` as a whole: what it says, what it runs, and how it ends.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails")]

mod mcp;
mod program;

use std::process::Command;
use std::time::Duration;

use program::{Client, Program, children_of, post, wait_until};

const RUNTIMES: [&str; 2] = ["smol", "tokio"];

#[test]
fn the_demo_answers_on_both_runtimes_and_a_signal_stops_it_in_order() {
    for runtime in RUNTIMES {
        let program = Program::start(&["--runtime", runtime]);
        let mut client = Client::open(&program);
        assert_eq!(client.request(r#""method":"ping""#), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        assert_eq!(
            client.request(r#""method":"tools/call","params":{"name":"add","arguments":{"a":2,"b":40}}"#),
            r#"{"jsonrpc":"2.0","id":2,"result":{"content":[{"text":"42","type":"text"}],"isError":false}}"#
        );
        let stopped = program.stop();
        assert_eq!(stopped.code, Some(0));
        assert!(client.ends_with_last_chunk(), "the stream was finished, not cut");
    }
}

#[test]
fn the_demo_cancels_what_is_cancelled_and_answers_the_rest() {
    let program = Program::start(&[]);
    let mut client = Client::open(&program);
    client.send(r#"{"jsonrpc":"2.0","id":"slow","method":"tools/call","params":{"name":"countdown","arguments":{"from":1000,"step_ms":60000}}}"#);
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"slow"}}"#);
    client.send(r#"{"jsonrpc":"2.0","id":7.0,"method":"ping"}"#.replace("7.0", "7").as_str());
    assert_eq!(client.message(), r#"{"jsonrpc":"2.0","id":7,"result":{}}"#);
    for (call, code) in [
        (r#""method":"nothing""#, -32601),
        (r#""method":"tools/call","params":{"name":"nothing"}"#, -32602),
        (r#""method":"tools/call","params":{}"#, -32602),
    ] {
        assert!(client.request(call).contains(&format!(r#""code":{code}"#)), "{call}");
    }
    assert!(
        client.request(r#""method":"tools/call","params":{"name":"echo"}"#).contains(r#""isError":true"#)
    );
}

#[test]
fn a_command_gets_the_messages_as_lines_and_its_lines_become_messages() {
    for runtime in RUNTIMES {
        let program = Program::start(&["--runtime", runtime, "--", "cat"]);
        let mut client = Client::open(&program);
        let spaced = "{ \"jsonrpc\": \"2.0\",\n \"method\": \"x\", \"params\": [1.0e+5, \"\\u0041 \"] }";
        client.send(spaced);
        assert_eq!(client.message(), r#"{"jsonrpc":"2.0","method":"x","params":[1.0e+5,"\u0041 "]}"#);
        assert_eq!(program.stop().code, Some(0));
    }
}

#[test]
fn hurt_13_each_session_has_its_own_child_and_a_stray_post_hurts_nobody() {
    let program = Program::start(&["--", "cat"]);
    let mut one = Client::open(&program);
    let mut two = Client::open(&program);
    wait_until("two children", || children_of(program.pid()).len() == 2);
    assert_eq!(post(program.addr(), "/message?session_id=stray", "{}"), 404);
    one.send(r#"{"jsonrpc":"2.0","method":"one"}"#);
    two.send(r#"{"jsonrpc":"2.0","method":"two"}"#);
    assert_eq!(one.message(), r#"{"jsonrpc":"2.0","method":"one"}"#);
    assert_eq!(two.message(), r#"{"jsonrpc":"2.0","method":"two"}"#);
    drop(one);
    wait_until("one child", || children_of(program.pid()).len() == 1);
    two.send(r#"{"jsonrpc":"2.0","method":"still here"}"#);
    assert_eq!(two.message(), r#"{"jsonrpc":"2.0","method":"still here"}"#);
}

#[test]
fn hurt_14_a_message_that_is_too_large_or_malformed_leaves_its_session_alone() {
    let program = Program::start(&["--max-body-bytes", "100000", "--", "cat"]);
    let mut client = Client::open(&program);
    assert_eq!(client.try_send(&"x".repeat(100_001)), 413);
    assert_eq!(client.try_send("{"), 400);
    assert_eq!(client.try_send("[]"), 400);
    client.send(r#"{"jsonrpc":"2.0","method":"x"}"#);
    assert_eq!(client.message(), r#"{"jsonrpc":"2.0","method":"x"}"#);
}

#[test]
fn the_childs_exit_ends_the_session_after_its_last_words() {
    let last = r#"{"jsonrpc":"2.0","method":"last"}"#;
    let program =
        Program::start(&["--", "sh", "-c", &format!("read line; echo noise; echo '{last}'; exit 3")]);
    let mut client = Client::open(&program);
    client.send(r#"{"jsonrpc":"2.0","method":"x"}"#);
    assert_eq!(client.message(), last);
    assert!(client.ends_with_last_chunk());
    let log = program.stop().log;
    assert!(log.contains("is no message: dropped"), "{log}");
    assert!(log.contains("exit status: 3"), "{log}");
}

#[test]
fn a_child_that_dies_in_the_middle_of_a_message_ends_its_session_without_the_half() {
    let whole = r#"{"jsonrpc":"2.0","method":"whole"}"#;
    let half = r#"{"jsonrpc":"2.0","method":"ha"#;
    for (runtime, dies) in
        RUNTIMES.into_iter().flat_map(|runtime| ["exit 3", "kill -9 $$"].map(|d| (runtime, d)))
    {
        let script = format!(
            "read line; [ \"${{line%dies*}}\" = \"$line\" ] && exec cat; echo '{whole}'; printf '%s' '{half}'; {dies}"
        );
        let program = Program::start(&["--runtime", runtime, "--", "sh", "-c", &script]);
        let mut beside = Client::open(&program);
        let mut client = Client::open(&program);
        // The other session's child takes this line and lives.
        beside.send(r#"{"jsonrpc":"2.0","method":"first"}"#);
        client.send(r#"{"jsonrpc":"2.0","method":"dies"}"#);
        assert_eq!(client.message(), whole);
        assert!(client.ends_with_last_chunk(), "{runtime}, {dies}: in order");
        assert!(!client.everything().contains(half), "{runtime}, {dies}: {}", client.everything());
        beside.send(r#"{"jsonrpc":"2.0","method":"still here"}"#);
        assert_eq!(beside.message(), r#"{"jsonrpc":"2.0","method":"still here"}"#);
        wait_until("one child", || children_of(program.pid()).len() == 1);
        assert!(program.stop().log.contains("is no message: dropped"));
    }
}

#[test]
fn a_signal_in_a_burst_of_messages_stops_it_in_order() {
    for runtime in RUNTIMES {
        let flood = r#"{"jsonrpc":"2.0","method":"flood"}"#;
        let program = Program::start(&["--runtime", runtime, "--", "yes", flood]);
        let mut clients: Vec<_> = (0..3).map(|_| Client::open(&program)).collect();
        for client in &mut clients {
            assert_eq!(client.message(), flood);
        }
        let stopped = program.stop();
        assert_eq!(stopped.code, Some(0), "{}", stopped.log);
        for client in &clients {
            assert!(client.ends_with_last_chunk(), "the stream was finished, not cut");
        }
        let closes = stopped.log.lines().filter(|line| line.contains("response ended")).collect::<Vec<_>>();
        assert!(closes.len() == 3 && closes.iter().all(|line| line.contains("undelivered=0")), "{closes:?}");
    }
}

#[test]
fn the_childs_standard_error_goes_to_the_log_and_to_no_client() {
    let program = Program::start(&["--", "sh", "-c", "echo secret >&2; exec cat"]);
    let mut client = Client::open(&program);
    client.send(r#"{"jsonrpc":"2.0","method":"x"}"#);
    assert_eq!(client.message(), r#"{"jsonrpc":"2.0","method":"x"}"#);
    program.wait_for_log("secret");
    let stopped = program.stop();
    let line = stopped.log.lines().find(|line| line.contains("secret")).unwrap().to_owned();
    assert!(line.contains(&client.session_id()), "the log names the session: {line}");
    assert!(!client.everything().contains("secret"));
}

#[test]
fn a_child_that_ignores_the_end_of_its_input_is_terminated_with_its_group() {
    let program = Program::start(&["--", "sh", "-c", "sleep 1000 & sleep 1000"]);
    let client = Client::open(&program);
    wait_until("a child", || children_of(program.pid()).len() == 1);
    let child = children_of(program.pid())[0];
    wait_until("two sleepers", || children_of(child).len() == 2);
    let sleepers = children_of(child);
    drop(client);
    wait_until("no child", || children_of(program.pid()).is_empty());
    wait_until("no sleeper", || {
        sleepers.iter().all(|pid| !std::path::Path::new(&format!("/proc/{pid}")).exists())
    });
}

#[test]
fn a_child_that_does_not_read_does_not_outlive_its_client() {
    let program = Program::start(&["--", "sleep", "1000"]);
    let client = Client::open(&program);
    wait_until("a child", || children_of(program.pid()).len() == 1);
    // More than a pipe holds: the second message waits in the middle of being written.
    let large = format!(r#"{{"jsonrpc":"2.0","method":"x","params":["{}"]}}"#, "x".repeat(100_000));
    client.send(&large);
    client.send(&large);
    drop(client);
    wait_until("no child", || children_of(program.pid()).is_empty());
}

#[test]
fn a_child_that_leaves_its_output_to_another_process_still_ends_the_session() {
    let program = Program::start(&["--", "sh", "-c", "sleep 1000 & read line; exit 4"]);
    let client = Client::open(&program);
    client.send(r#"{"jsonrpc":"2.0","method":"x"}"#);
    assert!(client.ends_with_last_chunk());
    assert!(program.stop().log.contains("exit status: 4"));
}

#[test]
fn descriptors_that_run_out_neither_end_the_server_nor_make_it_spin() {
    for runtime in RUNTIMES {
        let program = Program::start_with_descriptors(40, &["--runtime", runtime]);
        let crowd: Vec<_> = (0..60).map(|_| std::net::TcpStream::connect(program.addr()).unwrap()).collect();
        program.wait_for_log("accept failed");
        drop(crowd);
        let mut client = Client::open(&program);
        assert_eq!(client.request(r#""method":"ping""#), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
        let stopped = program.stop();
        assert_eq!(stopped.code, Some(0));
        let failures = stopped.log.lines().filter(|line| line.contains("accept failed")).count();
        assert!(failures < 20, "{failures} failures: it rests after each");
    }
}

#[test]
fn a_second_signal_stops_at_once_and_kills_the_children() {
    let program = Program::start(&["--", "sh", "-c", "trap '' TERM; while :; do sleep 1; done"]);
    let _client = Client::open(&program);
    wait_until("a child", || children_of(program.pid()).len() == 1);
    let child = children_of(program.pid())[0];
    program.signal("TERM");
    program.wait_for_log("stopping");
    // Signals within 100 ms count as one: send until one counts.
    let mut program = program;
    wait_until("the end", || {
        program.signal("TERM");
        program.has_ended()
    });
    assert_eq!(program.stop().code, Some(130));
    wait_until("no child", || !std::path::Path::new(&format!("/proc/{child}")).exists());
}

#[test]
fn what_can_not_be_started_is_one_clear_line_and_a_code() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    for (args, says, code) in [
        (&["--listen", &addr][..], format!("mcp-sse: can't listen on {addr}: Address already in use"), 1),
        (
            &["--listen", "127.0.0.1:0", "--", "no-such-command-at-all"],
            "mcp-sse: no such command: no-such-command-at-all".into(),
            1,
        ),
        (&["--base-url", "ftp://x"], "mcp-sse: base_url is \"ftp://x\": http(s)://host".into(), 1),
        (&["--base-url", "http://x/\r\ndata: forged"], "mcp-sse: base_url is ".into(), 1),
        (
            &["--listen", "0.0.0.0:0"],
            "mcp-sse: --listen 0.0.0.0:0 can be reached from other machines".into(),
            1,
        ),
        (&["--allow-host", "a/b"], "mcp-sse: allow_host is \"a/b\": host or host:port is allowed".into(), 1),
        (&["--allow-origin", "null"], "mcp-sse: allow_origin is \"null\"".into(), 1),
        (&["--keep-alive-interval", "0"], "mcp-sse: keep_alive is 0ns: more than zero is allowed".into(), 1),
        (&["--listen", "nowhere"], "error: invalid value 'nowhere' for '--listen <ADDR>'".into(), 2),
        (&["--no-such-option"], "error: unexpected argument '--no-such-option'".into(), 2),
    ] {
        let output = mcp_sse().args(args).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains(&says), "{args:?}: {error}");
        assert_eq!(output.status.code(), Some(code), "{args:?}");
        if code == 1 {
            assert_eq!(error.trim_end().lines().count(), 1, "{args:?}: {error}");
        }
    }
}

#[test]
fn check_03_check_05_it_listens_on_loopback_and_elsewhere_only_when_told_for_which_hosts() {
    let config = mcp_sse().arg("--print-config").output().unwrap();
    assert!(String::from_utf8(config.stdout).unwrap().starts_with("listen = 127.0.0.1:4444\n"));
    for everywhere in ["0.0.0.0:0", "[::]:0"] {
        let refused = mcp_sse().args(["--listen", everywhere]).output().unwrap();
        assert_eq!(refused.status.code(), Some(1));
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(
            error.contains(&format!("--listen {everywhere} can be reached from other machines")),
            "{error}"
        );
    }
}

#[test]
fn s4_check_27_check_28_a_request_reaches_the_child_as_one_line_and_with_nothing_of_its_head() {
    let program =
        Program::start(&["--log", "trace", "--", "sh", "-c", "env >&2; echo \"$0 $*\" >&2; exec cat"]);
    let mut client = Client::open(&program);
    client.send("{\"jsonrpc\":\"2.0\",\r\n\"method\":\"x\"\n}");
    assert_eq!(client.message(), r#"{"jsonrpc":"2.0","method":"x"}"#);
    let (id, text) = (client.session_id(), client.everything());
    drop(client);
    program.wait_for_log("child ended");
    let log = program.stop().log;
    assert!(!log.contains("not-to-be-seen") && !text.contains("not-to-be-seen"), "{log}");
    for what in ["session opened", "child started", "PATH=", "response ended", "session ended", "child ended"]
    {
        let line = log.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("no {what}: {log}"));
        assert!(line.contains(&id), "which session? {line}");
    }
}

#[test]
fn s34_every_setting_comes_from_the_environment_under_the_origins_name() {
    let config = |name: &str, value: &str| {
        let output =
            mcp_sse().args(["--preset", "contextforge", "--print-config"]).env(name, value).output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap(),
        )
    };
    for (name, value, shows) in [
        ("SSE_RETRY_TIMEOUT", "1234", "retry = 1234\n"),
        ("SSE_KEEPALIVE_ENABLED", "false", "keep-alive = false\n"),
        ("SSE_KEEPALIVE_INTERVAL", "7", "keep-alive-interval = 7\n"),
        ("SSE_SEND_TIMEOUT", "0", "send-timeout = 0\n"),
        ("SSE_SEND_TIMEOUT", "2.5", "send-timeout = 2.5\n"),
        ("SSE_RAPID_YIELD_WINDOW_MS", "777", "rapid-yield-window-ms = 777\n"),
        ("SSE_RAPID_YIELD_MAX", "0", "rapid-yield-max = 0\n"),
        ("SSE_TASK_GROUP_CLEANUP_TIMEOUT", "9", "drain-timeout = 9\n"),
    ] {
        let (code, text) = config(name, value);
        assert_eq!(code, Some(0), "{name}={value}: {text}");
        assert!(text.contains(shows), "{name}={value}: {text}");
    }
    for name in
        ["SSE_RETRY_TIMEOUT", "SSE_KEEPALIVE_INTERVAL", "SSE_SEND_TIMEOUT", "SSE_TASK_GROUP_CLEANUP_TIMEOUT"]
    {
        assert_eq!(config(name, "-1").0, Some(2), "{name}");
    }
    assert_eq!(config("SSE_RETRY_TIMEOUT", "0").0, Some(1));
}

#[test]
fn s33_in_the_preset_host_and_port_give_the_base_url() {
    let program = Program::start(&["--preset", "contextforge"]);
    let client = Client::open(&program);
    client.wait_for(&format!("event: endpoint\r\ndata: http://{}/message?session_id=", program.addr()));
    client.wait_for("event: keepalive\r\ndata: {}\r\nretry: 5000\r\n\r\n");
}

#[test]
fn the_help_names_every_group_of_options() {
    let output = mcp_sse().arg("--help").output().unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    for text in ["Stream:", "Limits:", "Examples:", "--listen", "--allow-host", "SSE_SEND_TIMEOUT", "-- npx"]
    {
        assert!(help.contains(text), "{text}");
    }
}

#[test]
fn logs_are_json_by_flag() {
    let program = Program::start(&["--log-format", "json"]);
    let client = Client::open(&program);
    program.wait_for_log("session opened");
    let log = program.stop().log;
    let line = log.lines().find(|line| line.contains("session opened")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["fields"]["session"], client.session_id().as_str());
}

fn mcp_sse() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-sse"));
    command.arg("serve");
    command
}

/// How long anything may take.
const BOUND: Duration = Duration::from_secs(20);
