//! What a body says, straight from HTML §9.2.5 and §9.2.6: the whole of it at once, with no limit and no thought
//! of speed.

use std::time::Duration;

/// One thing that a body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// A dispatched event.
    Event {
        /// Its type, `message` where none is named.
        event_type: String,
        /// Its data.
        data: String,
        /// The last event id, empty where there is none.
        last_event_id: String,
    },
    /// A reconnection time; beyond 64 bits of milliseconds it saturates.
    Retry(Duration),
    /// A comment. The standard ignores them; the decoder shows them.
    Comment(String),
}

/// All that `body` says, and the last event id at its end.
pub fn decode(body: &[u8]) -> (Vec<Said>, String) {
    // "Streams must be decoded using the UTF-8 decode algorithm", which strips one byte order mark.
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    // "Lines must be separated by either a CRLF pair, a single LF, or a single CR."
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<&str> = text.split('\n').collect();
    // "Once the end of the file is reached, any pending data must be discarded."
    lines.pop();

    let (mut data, mut event_type, mut last_event_id) = (String::new(), String::new(), String::new());
    let mut id_of_source = String::new();
    let mut said = Vec::new();
    for line in lines {
        if line.is_empty() {
            // "Set the last event ID string of the event source to the value of the last event ID buffer."
            id_of_source.clone_from(&last_event_id);
            // "If the data buffer is an empty string, set both buffers to the empty string and return."
            if !data.is_empty() {
                // "If the data buffer's last character is a LF, remove it."
                data.pop();
                let event_type =
                    if event_type.is_empty() { "message".to_owned() } else { event_type.clone() };
                said.push(Said::Event { event_type, data, last_event_id: id_of_source.clone() });
            }
            (data, event_type) = (String::new(), String::new());
        } else if let Some(comment) = line.strip_prefix(':') {
            said.push(Said::Comment(comment.to_owned()));
        } else {
            // "If value starts with a space, remove it." A line without a colon is a name with an empty value.
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => event_type = value.to_owned(),
                "data" => {
                    data.push_str(value);
                    data.push('\n');
                }
                // "If the field value does not contain U+0000 NULL …; otherwise, ignore the field."
                "id" if !value.contains('\0') => last_event_id = value.to_owned(),
                // "If the field value consists of only ASCII digits …; otherwise, ignore the field."
                "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                    said.push(Said::Retry(Duration::from_millis(value.parse().unwrap_or(u64::MAX))));
                }
                _ => {}
            }
        }
    }
    (said, id_of_source)
}
