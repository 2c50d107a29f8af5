//! [`Offer`]: which of a server's tools can be tried, and how.

use rmcp::model::{JsonObject, Tool};

/// What of it a server has.
pub(super) struct Offer {
    pub(super) echo: Echo,
    pub(super) progress: Vec<&'static Progress>,
    pub(super) reconnection: bool,
    pub(super) tool_change: bool,
}

/// A tool whose answer holds what it was told.
pub(super) struct Echo {
    pub(super) tool: String,
    argument: String,
    /// The only texts that it takes; any, if there are none here.
    texts: &'static [&'static str],
}

/// A tool that tells of its progress.
pub(super) struct Progress {
    pub(super) tool: &'static str,
    arguments: &'static str,
    pub(super) steps: usize,
}

/// Those of ours, of the demo's, and of npm's server-everything.
const PROGRESS: [Progress; 4] = [
    Progress { tool: "count", arguments: r#"{"to":5}"#, steps: 5 },
    Progress { tool: "countdown", arguments: r#"{"from":5,"step_ms":10}"#, steps: 5 },
    Progress { tool: "test_tool_with_progress", arguments: "{}", steps: 3 },
    Progress { tool: "trigger-long-running-operation", arguments: r#"{"duration":0.2,"steps":5}"#, steps: 5 },
];

const ZONES: [&str; 5] = ["UTC", "Europe/Madrid", "Asia/Tokyo", "America/Lima", "Africa/Cairo"];

impl Offer {
    pub(super) fn of(tools: &[Tool]) -> Option<Offer> {
        let has = |name: &str| tools.iter().any(|tool| tool.name == name);
        Some(Offer {
            echo: tools.iter().find_map(Echo::of)?,
            progress: PROGRESS.iter().filter(|progress| has(progress.tool)).collect(),
            reconnection: has("test_reconnection"),
            tool_change: has("test_trigger_tool_change"),
        })
    }
}

impl Echo {
    fn of(tool: &Tool) -> Option<Echo> {
        let texts: &[_] = match tool.name.as_ref() {
            "echo" => &[],
            "get_current_time" => &ZONES,
            _ => return None,
        };
        let argument = tool.input_schema.get("required")?.get(0)?.as_str()?.to_owned();
        Some(Echo { tool: tool.name.to_string(), argument, texts })
    }

    /// What to say in a call. Of an echo, no two texts are the same, and none is in another.
    pub(super) fn text(&self, session: usize, call: usize) -> String {
        match self.texts.get((session + call) % self.texts.len().max(1)) {
            Some(text) => (*text).to_owned(),
            None => format!("session {session}, call {call}: é \u{2028} \u{1f980} \r\n\n data: x"),
        }
    }

    pub(super) fn arguments(&self, text: &str) -> JsonObject {
        JsonObject::from_iter([(self.argument.clone(), text.into())])
    }
}

impl Progress {
    pub(super) fn arguments(&self) -> JsonObject {
        serde_json::from_str(self.arguments).unwrap_or_default()
    }
}
