//! [`Call`]: one request as the demo's methods see it, and what they may do before it is answered.
//!
//! A method that needs something from the client [asks](Call::ask) for it. With a session that is a request of the
//! server, whose answer is waited for. Without one (2026-07-28, Multi Round-Trip Requests) the method ends there, the
//! client calls again with the answer, and the method comes to the same place with it: so it is written once.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sansio_sse::mcp::{Message, Principal, Revision};
use serde_json::{Map, Value, json};

use super::Demo;
use super::seal::Context;

/// The levels of logging, the least severe first (RFC 5424).
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// How a client is reached while its request is being worked on.
pub(super) trait Peer: Sync {
    /// Says something in front of the answer.
    fn say(&self, message: Message) -> impl Future<Output = ()> + Send;

    /// Tells whoever wants to know that something has changed.
    fn announce(&self, notification: Message) -> impl Future<Output = ()> + Send;

    /// Asks the client, and waits for the result; or says why there is none.
    fn ask(&self, method: &str, params: &Value) -> impl Future<Output = Result<Value, String>> + Send;

    /// Ends the present response, where there is such a thing: the client comes again for the answer.
    fn poll_later(&self, retry: Duration) -> bool;
}

/// What a session's client has said of itself.
#[derive(Debug, Default)]
pub(super) struct Profile {
    /// What it can do.
    pub(super) capabilities: Value,
    /// What it wants to hear of the log, as a place in [`LEVELS`].
    level: usize,
    /// Resources of which it wants to hear.
    pub(super) watched: BTreeSet<String>,
}

/// A session of the demo.
#[derive(Debug, Default)]
pub(super) struct Conversation(Mutex<Profile>);

impl Conversation {
    pub(super) fn profile(&self) -> MutexGuard<'_, Profile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request that is being worked on.
pub(super) struct Call<'a, P> {
    pub(super) demo: &'a Demo,
    pub(super) peer: &'a P,
    /// None in revisions without sessions.
    pub(super) session: Option<&'a Conversation>,
    pub(super) revision: Revision,
    pub(super) principal: &'a Principal,
    pub(super) method: &'a str,
    pub(super) params: &'a Value,
    /// The headers that repeat arguments: name behind `Mcp-Param-`, and value.
    pub(super) mirrored: &'a [(String, Option<String>)],
    /// What the client has answered in the rounds so far.
    pub(super) answers: Map<String, Value>,
    /// Whether they came with a state of ours.
    pub(super) is_sealed: bool,
}

/// A question to the client: a name that is its own in the request, and a request of the server.
pub(super) struct Question {
    pub(super) key: &'static str,
    pub(super) method: &'static str,
    pub(super) params: Value,
}

impl Question {
    /// What a client must be able to do to answer it.
    fn capability(&self) -> &'static str {
        self.method.split('/').next().unwrap_or_default()
    }

    pub(super) fn into_request(self) -> (String, Value) {
        (self.key.to_owned(), json!({ "method": self.method, "params": self.params }))
    }
}

/// Why a method ends without a result.
#[derive(Debug)]
pub(super) enum Stop {
    Fault(Fault),
    /// The client is to call again with what is missing.
    NeedsInput {
        requests: Map<String, Value>,
        state: String,
    },
}

/// A JSON-RPC error.
#[derive(Debug)]
pub(super) struct Fault {
    code: i32,
    message: String,
    data: Option<Value>,
}

/// What a method comes to.
pub(super) type Outcome = Result<Value, Stop>;

impl Stop {
    fn fault(code: i32, message: impl Into<String>, data: Option<Value>) -> Stop {
        Stop::Fault(Fault { code, message: message.into(), data })
    }
}

impl Fault {
    pub(super) fn no_method(method: &str) -> Stop {
        Stop::fault(-32601, format!("no such method: {method}"), None)
    }

    pub(super) fn params(message: impl Into<String>) -> Stop {
        Stop::fault(-32602, message, None)
    }

    pub(super) fn no_resource(uri: &str, revision: Revision) -> Stop {
        // The code of its own ended with 2025-11-25.
        let code = if revision.is_stateless() { -32602 } else { -32002 };
        Stop::fault(code, "no such resource", Some(json!({ "uri": uri })))
    }

    pub(super) fn header(message: impl Into<String>) -> Stop {
        Stop::fault(-32020, message, None)
    }

    fn no_capability(needed: &str) -> Stop {
        let data = json!({ "requiredCapabilities": { needed: {} } });
        Stop::fault(-32021, format!("the client has not declared {needed}"), Some(data))
    }

    pub(super) fn no_extension(needed: &str) -> Stop {
        let data = json!({ "requiredCapabilities": { "extensions": { needed: {} } } });
        Stop::fault(-32021, format!("the client has not declared {needed}"), Some(data))
    }

    pub(super) fn internal(message: impl Into<String>) -> Stop {
        Stop::fault(-32603, message, None)
    }

    /// The client can't or won't do what was asked of it.
    fn client(message: impl Into<String>) -> Stop {
        Stop::fault(-32000, message, None)
    }

    /// Why, if it lies with the client.
    pub(super) fn of_client(&self) -> Option<&str> {
        matches!(self.code, -32000 | -32021).then_some(&self.message)
    }

    pub(super) fn into_json(self) -> Value {
        let mut error = json!({ "code": self.code, "message": self.message });
        if let Some(data) = self.data {
            error["data"] = data;
        }
        error
    }
}

impl<P: Peer> Call<'_, P> {
    /// The named argument, where it is a text.
    pub(super) fn text(&self, name: &str) -> Result<&str, Stop> {
        let text = self.params["arguments"][name].as_str();
        text.ok_or_else(|| Fault::params(format!("{name} must be a string")))
    }

    /// Whether the client says that it can.
    pub(super) fn can(&self, capability: &str) -> bool {
        match self.session {
            Some(session) => session.profile().capabilities[capability].is_object(),
            None => {
                self.params["_meta"]["io.modelcontextprotocol/clientCapabilities"][capability].is_object()
            }
        }
    }

    /// Ends here if the client can't.
    pub(super) fn requires(&self, capability: &str) -> Result<(), Stop> {
        if self.can(capability) { Ok(()) } else { Err(Fault::no_capability(capability)) }
    }

    /// Writes a line of the log, if the client wants it.
    pub(super) async fn log(&self, level: &str, data: &str) {
        let rank = |level: &str| LEVELS.into_iter().position(|known| known == level);
        let wanted = match self.session {
            Some(session) => Some(session.profile().level),
            None => self.params["_meta"]["io.modelcontextprotocol/logLevel"].as_str().and_then(rank),
        };
        if wanted.zip(rank(level)).is_some_and(|(wanted, level)| level >= wanted) {
            let params = json!({ "level": level, "logger": "demo", "data": data });
            self.notify("notifications/message", params).await;
        }
    }

    /// Says how far the work is, if the client has asked for that.
    pub(super) async fn progress(&self, done: u64, total: u64, message: Option<&str>) {
        let token = &self.params["_meta"]["progressToken"];
        if token.is_null() {
            return;
        }
        let mut params = json!({ "progressToken": token, "progress": done, "total": total });
        if let Some(message) = message {
            params["message"] = message.into();
        }
        self.notify("notifications/progress", params).await;
    }

    async fn notify(&self, method: &str, params: Value) {
        if let Some(message) = message(&json!({ "jsonrpc": "2.0", "method": method, "params": params })) {
            self.peer.say(message).await;
        }
    }

    /// Tells that something has changed.
    pub(super) async fn announce(&self, method: &str, params: Option<Value>) {
        let mut notification = json!({ "jsonrpc": "2.0", "method": method });
        if let Some(params) = params {
            notification["params"] = params;
        }
        if let Some(message) = message(&notification) {
            self.peer.announce(message).await;
        }
    }

    /// Asks the client one thing.
    pub(super) async fn ask(&self, question: Question) -> Outcome {
        let key = question.key;
        let mut answers = self.ask_all(vec![question]).await?;
        Ok(answers.remove(key).unwrap_or_default())
    }

    /// Asks the client several things, and gives its answers by their names.
    pub(super) async fn ask_all(&self, questions: Vec<Question>) -> Result<Map<String, Value>, Stop> {
        let mut answers = Map::new();
        let mut missing = Map::new();
        for question in questions {
            self.requires(question.capability())?;
            let answer = match (self.answers.get(question.key), self.session) {
                (Some(answer), _) => Some(answer.clone()),
                (None, Some(_)) => {
                    let asked = self.peer.ask(question.method, &question.params);
                    Some(asked.await.map_err(Fault::client)?)
                }
                (None, None) => None,
            };
            match answer {
                Some(answer) => drop(answers.insert(question.key.to_owned(), answer)),
                None => missing.extend([question.into_request()]),
            }
        }
        if missing.is_empty() { Ok(answers) } else { Err(self.needs(missing)) }
    }

    /// Asks the client one thing, and believes no answer that comes without the state of the question.
    pub(super) async fn ask_sealed(&self, question: Question) -> Outcome {
        if self.session.is_none() && !self.is_sealed {
            self.requires(question.capability())?;
            return Err(self.needs(Map::from_iter([question.into_request()])));
        }
        self.ask(question).await
    }

    /// Ends the round.
    fn needs(&self, requests: Map<String, Value>) -> Stop {
        Stop::NeedsInput { requests, state: self.demo.seal.close(&self.context(), &self.answers) }
    }

    /// What a state is bound to: it is worth nothing with another request, or for somebody else.
    fn context(&self) -> Context<'_> {
        let params = self.params;
        Context { principal: self.principal, what: json!([self.method, params["name"], params["arguments"]]) }
    }

    /// Takes what the client has answered in this round and in those before. Where no round came before, it may know
    /// by itself what it will be asked.
    pub(super) fn take_answers(&mut self) -> Result<(), Stop> {
        if self.session.is_some() {
            return Ok(());
        }
        match &self.params["requestState"] {
            Value::Null => {}
            state => {
                let opened = state.as_str().and_then(|state| self.demo.seal.open(&self.context(), state));
                self.answers = opened.ok_or_else(|| Fault::params("requestState is not valid here"))?;
                self.is_sealed = true;
            }
        }
        match &self.params["inputResponses"] {
            Value::Null => Ok(()),
            Value::Object(new) if new.values().all(Value::is_object) => {
                self.answers.extend(new.clone());
                Ok(())
            }
            _ => Err(Fault::params("inputResponses must be an object of objects")),
        }
    }
}

impl Profile {
    /// Takes the level that the client wants to hear from on.
    pub(super) fn set_level(&mut self, level: &str) -> Result<(), Stop> {
        let rank = LEVELS.into_iter().position(|known| known == level);
        self.level = rank.ok_or_else(|| Fault::params(format!("no such level: {level}")))?;
        Ok(())
    }
}

/// JSON as a message. The demo makes nothing that is none.
pub(super) fn message(json: &Value) -> Option<Message> {
    let made = json.to_string().parse();
    made.inspect_err(|error| tracing::error!(%error, "the demo made something that is no message")).ok()
}
