//! What clients of `/mcp` heard, held against what was said there.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use super::chatter::Chatter;
use crate::EventId;
use crate::mcp::Message;
use crate::sim::{Fate, HeardEvent, Lane, Law, McpClient, Server, Talk};

type Broken = Result<(), (Law, String)>;

/// I2, I12 from end to end, at `/mcp`. In peace, besides, nobody who is there has missed anything.
pub(super) fn all_is_heard(server: &Server<Chatter>, client: &McpClient, peace: bool) -> Broken {
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, lane) in client.lanes().iter().enumerate() {
        if let Some(request) = lane.request() {
            ids.insert(request, at);
        }
    }
    for (at, lane) in client.lanes().iter().enumerate() {
        let talk = match (lane.request(), lane.session()) {
            (Some(request), _) if ids.get(request) == Some(&at) => server.said_to(request),
            (None, Some(session)) => server.said_in(session),
            _ => None,
        };
        let Some(talk) = talk else {
            if lane.heard().is_empty() {
                continue;
            }
            return Err((Law::I12, format!("{:?} was heard, and never said", lane.heard().first())));
        };
        is_heard(lane, talk, server.skips_gaps())?;
        let is_there = client.session().is_some_and(|session| server.session_ids().any(|one| one == session));
        let is_present = lane.session() == client.session();
        if peace && is_present && (is_there || lane.session().is_none()) && !client.has_left() {
            in_peace(lane, talk, server.skips_gaps())?;
        }
    }
    Ok(())
}

/// What was heard is what was said, there, in its order, and once.
fn is_heard(lane: &Lane, talk: &Talk, skips_gaps: bool) -> Broken {
    let broken = |heard: &HeardEvent, why: String| {
        let place = lane.request().map_or("a session's own stream", |request| request);
        Err((Law::I12, format!("{place}: {heard:?} was heard: {why}")))
    };
    let (mut before, mut said) = (None, talk.said());
    for heard in lane.heard() {
        let Some(id) = &heard.id else {
            let next = said.by_ref().flatten().next();
            if next.is_none_or(|next| next.as_str() != heard.data) {
                return broken(heard, format!("{next:?} was said"));
            }
            continue;
        };
        let Ok(id) = id.parse::<EventId>() else { return broken(heard, String::from("no id of ours")) };
        if talk.number() != Some(id.stream) {
            return broken(heard, format!("that place has the number {:x?}", talk.number()));
        }
        let follows = match before {
            Some(before) if heard.jumps || skips_gaps => id.seq > before,
            Some(before) => id.seq == before + 1,
            None => heard.jumps || skips_gaps || id.seq <= 1,
        };
        if !follows {
            return broken(heard, format!("behind {before:?}"));
        }
        before = Some(id.seq);
        let at = id.seq.checked_sub(1).and_then(|at| usize::try_from(at).ok());
        let said = at.and_then(|at| talk.said().nth(at));
        let text = said.flatten().map_or("", Message::as_str);
        if at.is_some() && said.is_none() || text != heard.data {
            return broken(heard, format!("{text} was said"));
        }
    }
    Ok(())
}

/// I2: who is there has all of it.
fn in_peace(lane: &Lane, talk: &Talk, skips_gaps: bool) -> Broken {
    let last = lane.heard().last().and_then(|heard| heard.id.as_ref()?.parse::<EventId>().ok());
    let (heard, said) = (last.map_or(0, |id| id.seq), talk.said().len() as u64);
    match (lane.request(), lane.fate()) {
        // Where a gap leads to another stream, an answer may be waited for in vain.
        (Some(request), Fate::Open) if talk.is_done() && !skips_gaps => {
            Err((Law::I2, format!("{request}: all is said, and {heard} of {said} were heard in peace")))
        }
        // What a socket took before there was an id to come back with, nobody can ask for.
        (None, Fate::Open) if lane.is_heard() && 0 < heard && heard < said && !skips_gaps => {
            Err((Law::I2, format!("own stream: {heard} of {said} were heard in peace")))
        }
        _ => Ok(()),
    }
}
