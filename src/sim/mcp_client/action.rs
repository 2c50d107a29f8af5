//! What a client of `/mcp` sends for each action, and what it makes of the answer.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Action, Fate, McpClient, Phase};
use crate::Tick;
use crate::http1::{HeadLimits, RequestBuilder, ResponseHead, ResponseReader};
use crate::mcp::{Message, Revision, SessionId};
use crate::sim::Conn;

/// How often it comes again for an answer and hears nothing, before it takes what it missed for gone.
const IN_VAIN: u32 = 5;

/// An action on its connection.
#[derive(Debug)]
pub(super) struct Running {
    action: Action,
    pub(super) out: Vec<u8>,
    pub(super) reader: ResponseReader,
    /// Nothing more is wanted of it.
    pub(super) over: bool,
    pub(super) drop_at: Tick,
    begun: Tick,
    status: u16,
    is_stream: bool,
    body: Vec<u8>,
}

/// The body of a request in this revision.
pub(super) fn body_of(revision: Revision, id: u64, method: &str) -> String {
    let params = if method == "initialize" {
        format!(r#"{{"protocolVersion":"{revision}","capabilities":{{}}}}"#)
    } else if revision.is_stateless() {
        let version = format!(r#""io.modelcontextprotocol/protocolVersion":"{revision}""#);
        let wanted = match method {
            "subscriptions/listen" => r#","notifications":{"toolsListChanged":true}"#,
            _ => "",
        };
        format!(r#"{{"_meta":{{{version},"io.modelcontextprotocol/clientCapabilities":{{}}}}{wanted}}}"#)
    } else {
        String::from("{}")
    };
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

impl McpClient {
    /// Whether an action is of the present session.
    pub(super) fn is_current(&self, action: &Action) -> bool {
        let era = match action {
            Action::Ask(lane) | Action::Resume(lane) | Action::Listen(lane) | Action::Cancel(lane) => {
                self.lanes[*lane].era
            }
            Action::Say(era, _) | Action::Delete(era) => *era,
        };
        era == self.era && !matches!(self.phase, Phase::Gone | Phase::Away(_))
    }

    pub(super) fn begin(&mut self, now: Tick, conn: Conn, action: Action) {
        let (method, lane) = match &action {
            Action::Ask(lane) => ("POST", Some(*lane)),
            Action::Resume(lane) | Action::Listen(lane) => ("GET", Some(*lane)),
            Action::Say(..) => ("POST", None),
            Action::Delete(_) | Action::Cancel(_) => ("DELETE", None),
        };
        let revision = self.config.revision;
        let mut headers: Vec<(&str, String)> = Vec::new();
        let accept =
            if method == "GET" { "text/event-stream" } else { "application/json, text/event-stream" };
        headers.push(("Accept", String::from(accept)));
        headers.extend(self.config.name.clone().map(|name| ("Authorization", name)));
        let opens = lane.is_some_and(|lane| self.lanes[lane].method == "initialize");
        if let Some(session) = self.session.as_ref().filter(|_| !opens || method == "GET") {
            headers.push(("Mcp-Session-Id", session.to_string()));
        }
        if !opens && revision >= Revision::V2025_06_18 {
            headers.push(("MCP-Protocol-Version", revision.to_string()));
        }
        let mut body = None;
        match (&action, lane.map(|lane| &self.lanes[lane])) {
            (Action::Ask(_), Some(lane)) => {
                if revision.is_stateless() {
                    headers.push(("Mcp-Method", lane.method.clone()));
                }
                body = Some(lane.body.clone());
            }
            (Action::Resume(_), Some(lane)) => {
                headers.extend(lane.last.clone().map(|last| ("Last-Event-ID", last)));
            }
            (Action::Say(_, text), _) => body = Some(text.clone()),
            _ => {}
        }
        if body.is_some() {
            headers.push(("Content-Type", String::from("application/json")));
        }
        let request = RequestBuilder::new(method, "/mcp", "localhost");
        let request = headers.iter().fold(request, |request, (name, value)| request?.header(name, value));
        let request = request.map(|request| match body {
            Some(body) => request.body(body.into_bytes()).close(),
            None => request,
        });
        let out = request.map(|request| request.encode()).unwrap_or_default();
        if let Some(lane) = lane {
            self.lanes[lane].conn = Some(conn);
        }
        let running = Running {
            action,
            out,
            reader: ResponseReader::new(HeadLimits::default(), u64::MAX, method),
            over: false,
            drop_at: now + self.config.patience,
            begun: now,
            status: 0,
            is_stream: false,
            body: Vec::new(),
        };
        self.conns.insert(conn, running);
    }

    pub(super) fn read_head(&mut self, now: Tick, conn: Conn, head: &ResponseHead) {
        let Some(running) = self.conns.get_mut(&conn) else { return };
        let status = head.status();
        *self.statuses.entry(status).or_default() += 1;
        let content = head.header("content-type").unwrap_or_default();
        running.status = status;
        running.is_stream = status == 200 && content.starts_with(b"text/event-stream");
        running.begun = now;
        match running.action {
            Action::Ask(lane) | Action::Resume(lane) => self.lanes[lane].begins(true),
            Action::Listen(lane) => self.lanes[lane].begins(false),
            Action::Say(..) | Action::Delete(_) | Action::Cancel(_) => {}
        }
        if let Action::Ask(lane) = running.action
            && self.lanes[lane].method == "initialize"
            && self.lanes[lane].era == self.era
        {
            let id = head.header("mcp-session-id").and_then(|id| core::str::from_utf8(id).ok());
            self.session = id.and_then(|id| SessionId::parse(id).ok());
            self.lanes[lane].session.clone_from(&self.session);
        }
    }

    pub(super) fn read_body(&mut self, now: Tick, conn: Conn, part: &[u8]) {
        let Some(running) = self.conns.get_mut(&conn) else { return };
        if !running.is_stream {
            return running.body.extend_from_slice(part);
        }
        let (Action::Ask(at) | Action::Resume(at) | Action::Listen(at)) = running.action else { return };
        let lane = &mut self.lanes[at];
        let before = lane.fate;
        let (asked, era) = (lane.hear(part), lane.era);
        let (fate, opens) = (lane.fate, lane.method == "initialize");
        for request in asked {
            if let Ok(response) = request.respond("{}") {
                let times = if self.rng.one_in(8) { 2 } else { 1 };
                for _ in 0..times {
                    self.plan(now, Action::Say(era, response.as_str().to_string()));
                }
            }
        }
        if before == Fate::Open && fate == Fate::Answered && opens && era == self.era {
            self.initialized(now, at);
        }
        if fate == Fate::Gone {
            // Its stream is another one now: it is not for this.
            self.told_gone += 1;
            self.conns.remove(&conn);
            self.lanes[at].conn = None;
        }
    }

    /// The answer to `initialize` is there.
    fn initialized(&mut self, now: Tick, lane: usize) {
        let lane = &self.lanes[lane];
        let text = lane.whole.as_deref().or(lane.heard.last().map(|heard| heard.data.as_str()));
        let is_error =
            text.and_then(|text| text.parse::<Message>().ok()).is_none_or(|answer| answer.is_error());
        if is_error || self.session.is_none() {
            self.session_over(now, self.era);
        } else {
            self.opened(now);
        }
    }

    /// A response is over, in good order or not.
    pub(super) fn lost(&mut self, now: Tick, conn: Conn, in_order: bool) {
        let Some(running) = self.conns.get_mut(&conn).filter(|running| !running.over) else { return };
        running.over = true;
        let (action, status, is_stream) = (running.action.clone(), running.status, running.is_stream);
        let (body, at_once) = (core::mem::take(&mut running.body), running.begun == now);
        let retry = self.config.retry;
        let status = if in_order || is_stream { status } else { 0 };
        match action {
            Action::Ask(at) | Action::Resume(at) | Action::Listen(at) => {
                self.lanes[at].conn = None;
                let era = self.lanes[at].era;
                match status {
                    // It is not known whether it came through: a request is not made twice, but by its id.
                    0 => self.comes_again(now, at),
                    200 if is_stream => {
                        let is_resumed = matches!(action, Action::Resume(_));
                        let lane = &mut self.lanes[at];
                        lane.in_vain = if lane.brought || !is_resumed { 0 } else { lane.in_vain + 1 };
                        let is_empty = in_order && at_once && lane.in_vain > 0;
                        if is_empty || (lane.in_vain > IN_VAIN && lane.request.is_some()) {
                            self.gone(now, at);
                        } else {
                            self.comes_again(now, at);
                        }
                    }
                    404 if !self.config.revision.is_stateless() => self.session_over(now, era),
                    400 if matches!(action, Action::Resume(_)) => self.gone(now, at),
                    408 | 409 | 503 => {
                        if self.lanes[at].method == "initialize" && matches!(action, Action::Ask(_)) {
                            self.session_over(now, era);
                        } else {
                            self.plan(now + retry * 4, action);
                        }
                    }
                    _ => self.whole(now, at, body),
                }
            }
            Action::Say(era, _) | Action::Delete(era) if matches!(status, 204 | 404) => {
                self.session_over(now, era);
            }
            Action::Say(..) | Action::Delete(_) if matches!(status, 408 | 503) => {
                self.plan(now + retry, action);
            }
            Action::Delete(_) if status == 0 => self.plan(now + retry, action),
            Action::Say(..) | Action::Delete(_) | Action::Cancel(_) => {}
        }
    }

    /// The answer was one object.
    fn whole(&mut self, now: Tick, at: usize, body: Vec<u8>) {
        let lane = &mut self.lanes[at];
        lane.whole = String::from_utf8(body).ok();
        if lane.fate == Fate::Open {
            lane.fate = Fate::Answered;
        }
        if lane.method == "initialize" && lane.era == self.era {
            self.initialized(now, at);
        }
    }

    /// What a lane has missed is gone.
    fn gone(&mut self, now: Tick, at: usize) {
        self.told_gone += 1;
        self.lanes[at].fate = Fate::Gone;
        if self.lanes[at].request.is_none() && self.lanes[at].era == self.era {
            self.listen(now + self.config.retry);
        }
        if self.lanes[at].method == "initialize" {
            self.session_over(now, self.lanes[at].era);
        }
    }

    /// A lane has lost its response: it goes on where it was, where that is known.
    fn comes_again(&mut self, now: Tick, at: usize) {
        let goes_back = self.config.goes_back > 0 && self.rng.one_in(self.config.goes_back);
        if goes_back && self.lanes[at].method != "initialize" {
            let _ = self.lanes[at].goes_back(&mut self.rng);
        }
        let lane = &self.lanes[at];
        let retry = lane.retry.map_or(self.config.retry, |retry| retry.min(self.config.retry));
        let is_own = lane.request.is_none();
        let newer = |(other, one): (usize, &super::Lane)| {
            other > at
                && one.request.is_none()
                && one.era == lane.era
                && one.fate == Fate::Open
                && one.is_heard()
        };
        if lane.fate != Fate::Open || lane.era != self.era {
            return;
        }
        if is_own && self.lanes.iter().enumerate().any(newer) {
            self.lanes[at].fate = Fate::GivenUp;
        } else if lane.last.is_some() && !self.config.revision.is_stateless() {
            self.plan(now + retry, Action::Resume(at));
        } else if is_own {
            self.plan(now + retry, Action::Listen(at));
        } else {
            let opens = lane.method == "initialize";
            let era = lane.era;
            self.lanes[at].fate = Fate::GivenUp;
            if opens {
                self.session_over(now, era);
            }
        }
    }
}
