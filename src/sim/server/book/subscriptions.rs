//! Subscriptions that the endpoint serves by itself: what each must be told.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Book, Broken, Talk};
use crate::mcp::{CallId, ExchangeId, Filter, Message};
use crate::sim::Law;

const ID: &str = "io.modelcontextprotocol/subscriptionId";

impl Book {
    /// A subscription began: it is acknowledged first.
    pub(in crate::sim::server) fn subscribed(
        &mut self,
        exchange: ExchangeId,
        call: CallId,
        filter: &Filter,
    ) -> Result<(), Broken> {
        let Some(number) = self.exchanges.get(&exchange).and_then(|speaks| speaks.talk) else {
            return Ok(());
        };
        self.calls.insert(call, number);
        let names = [
            (filter.tools, "toolsListChanged"),
            (filter.prompts, "promptsListChanged"),
            (filter.resources, "resourcesListChanged"),
        ];
        let agreed = names.iter().filter(|(is_on, _)| *is_on).map(|(_, name)| format!(r#""{name}":true"#));
        let agreed: Vec<String> = agreed.collect();
        let id = self.talks[number].asks.first().cloned().unwrap_or_default();
        let method = "notifications/subscriptions/acknowledged";
        let params = format!(r#"{{"_meta":{{"{ID}":{id}}},"notifications":{{{}}}}}"#, agreed.join(","));
        let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
        self.untaken.remove(&(None, id));
        self.subscriptions.push((number, filter.clone()));
        Message::parse(text.as_bytes()).map_or(Ok(()), |first| self.said(number, first))
    }

    /// A notification was said to so many subscriptions: those that want it. What waits already is not said twice.
    pub(in crate::sim::server) fn published(&mut self, news: &Message, heard: usize) -> Result<(), Broken> {
        let mut wanted = 0;
        for (number, filter) in self.subscriptions.clone() {
            let talk = &self.talks[number];
            if talk.is_done || !filter.wants(news) {
                continue;
            }
            wanted += 1;
            let id = talk.asks.first().map_or("null", String::as_str);
            let Some(tagged) = news.with_meta(ID, id) else { continue };
            if !talk.has_waiting(&tagged) {
                self.said(number, tagged)?;
            }
        }
        if wanted != heard {
            return Err((Law::I2, format!("{news} was said to {heard}, and {wanted} want it")));
        }
        Ok(())
    }

    /// The server stops: each subscription ends with its result.
    pub(super) fn finish_subscriptions(&mut self) {
        for (number, _) in core::mem::take(&mut self.subscriptions) {
            let talk = &self.talks[number];
            let id = talk.asks.first().cloned().filter(|_| !talk.is_done);
            let text = id.map(|id| {
                let result = format!(r#"{{"resultType":"complete","_meta":{{"{ID}":{id}}}}}"#);
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
            });
            if let Some(last) = text.and_then(|text| Message::parse(text.as_bytes()).ok()) {
                let _ = self.said(number, last);
            }
        }
    }
}

impl Talk {
    fn has_waiting(&self, message: &Message) -> bool {
        let from = usize::try_from(self.next - 1).unwrap_or(usize::MAX);
        let mut waiting = self.log.iter().skip(from);
        waiting.any(|said| said.message.as_ref() == Some(message))
    }
}
