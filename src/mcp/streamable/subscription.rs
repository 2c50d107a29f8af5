//! Subscriptions of 2026-07-28: [`Filter`], what a client asked to hear of, and the texts that frame it.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::Offer;
use crate::mcp::Message;
use crate::mcp::message::members::{elements, members, quoted, string};

/// The method of it.
pub(super) const LISTEN: &str = "subscriptions/listen";

/// Names the subscription in `_meta`.
pub(super) const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// What a subscription hears of: what its client asked for and what is offered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// `notifications/tools/list_changed`.
    pub tools: bool,
    /// `notifications/prompts/list_changed`.
    pub prompts: bool,
    /// `notifications/resources/list_changed`.
    pub resources: bool,
    /// `notifications/resources/updated` of these URIs.
    pub resource_updates: BTreeSet<String>,
}

impl Filter {
    /// The filter of a `subscriptions/listen` request, or what is wrong with it.
    pub(super) fn of(request: &Message, offer: Offer, max_resources: usize) -> Result<Filter, &'static str> {
        const WHY: &str = "params.notifications must be an object with each member once";
        let [notifications] = request.params(["notifications"]).map_err(|_| WHY)?;
        let names =
            ["toolsListChanged", "promptsListChanged", "resourcesListChanged", "resourceSubscriptions"];
        let [tools, prompts, resources, uris] = members(notifications.ok_or(WHY)?, names).map_err(|_| WHY)?;
        let wanted = |member: Option<&str>| match member {
            Some("true") => Ok(true),
            None | Some("false") => Ok(false),
            Some(_) => Err("the members of params.notifications must be true or false"),
        };
        const URIS: &str = "resourceSubscriptions must be an array of strings, and not too many";
        let uris = elements(uris.unwrap_or("[]"), max_resources).ok_or(URIS)?;
        let uris =
            uris.into_iter().map(|uri| string(uri).map(Cow::into_owned)).collect::<Option<BTreeSet<_>>>();
        let resource_updates = uris.ok_or(URIS)?;
        Ok(Filter {
            tools: wanted(tools)? && offer.tools,
            prompts: wanted(prompts)? && offer.prompts,
            resources: wanted(resources)? && offer.resources,
            resource_updates: if offer.resource_updates { resource_updates } else { BTreeSet::new() },
        })
    }

    /// Whether it lets a notification through.
    #[must_use]
    pub fn wants(&self, notification: &Message) -> bool {
        match notification.method() {
            Some("notifications/tools/list_changed") => self.tools,
            Some("notifications/prompts/list_changed") => self.prompts,
            Some("notifications/resources/list_changed") => self.resources,
            Some("notifications/resources/updated") => {
                let uri = notification.params(["uri"]).ok().and_then(|[uri]| string(uri?));
                uri.is_some_and(|uri| self.resource_updates.contains(uri.as_ref()))
            }
            Some(_) | None => false,
        }
    }

    /// The first message of the stream: which part of what was asked for is served.
    pub(super) fn acknowledgement(&self, id: &str) -> Option<Message> {
        let mut agreed = Vec::new();
        for (name, is_on) in [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ] {
            if is_on {
                agreed.push(alloc::format!(r#""{name}":true"#));
            }
        }
        if !self.resource_updates.is_empty() {
            let uris: Vec<String> = self.resource_updates.iter().map(|uri| quoted(uri)).collect();
            agreed.push(alloc::format!(r#""resourceSubscriptions":[{}]"#, uris.join(",")));
        }
        let agreed = agreed.join(",");
        let method = "notifications/subscriptions/acknowledged";
        let params =
            alloc::format!(r#"{{"_meta":{{"{SUBSCRIPTION_ID}":{id}}},"notifications":{{{agreed}}}}}"#);
        alloc::format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#).parse().ok()
    }
}

/// The response to a subscription: it has ended in good order.
pub(super) fn ended(id: &str) -> Option<Message> {
    let result = alloc::format!(r#"{{"resultType":"complete","_meta":{{"{SUBSCRIPTION_ID}":{id}}}}}"#);
    alloc::format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).parse().ok()
}
