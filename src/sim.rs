//! A test kit: deterministic simulation of servers, clients, networks and clocks, with the laws checked at every step.
//!
//! The machines of this crate do no I/O, so a world can be made of nothing but them: [`World`] has one virtual clock,
//! any number of [programs](Program), and [links](Link) between them that are slow, cut, stalled, reset or silent as
//! they are told to be. Time steps exactly from deadline to deadline; all luck comes from one seed, and the same seed
//! is the same run, byte for byte. Each stream is held against an [`Oracle`], which has clocks and sums of its own.
//!
//! # Your application in it
//! Write what your server is for as an [`Application`], and see what it does where the network is bad:
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use sansio_sse::mcp::{HttpSse, Message, Resumption, SessionId};
//! use sansio_sse::sim::{
//!     Application, Client, ClientConfig, Faults, Outbox, Rng, Server, ServerConfig, Spot, World, request,
//! };
//! use sansio_sse::{SourceConfig, Tick};
//!
//! /// Counts what it is asked, and answers with the number.
//! struct Counter(u32);
//!
//! impl Application for Counter {
//!     fn handle_message(&mut self, _: Tick, session: &SessionId, asked: &Message, out: &mut Outbox) {
//!         self.0 += 1;
//!         let id = asked.id().unwrap_or("null");
//!         let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, self.0);
//!         out.send(session, Message::parse(answer.as_bytes()).unwrap());
//!     }
//! }
//!
//! let mut world = World::new(42);
//! let http_sse = HttpSse { resumption: Resumption::Always, ..HttpSse::default() };
//! let config = ServerConfig { http_sse, ..ServerConfig::default() };
//! world.add_server(Server::new(Counter(0), config, Rng::new(1)));
//! let posts = (1..=20).map(|number| request(number, "count", "[]")).collect();
//! let (least, most) = (Duration::from_millis(100), Duration::from_secs(1));
//! let source = Arc::new(SourceConfig::builder().delay_between(least, most).retry(most).build()?);
//! world.add_client(Client::new(ClientConfig { posts, ..ClientConfig::default() }, source));
//!
//! // Every stream is reset behind its sixth blank line, and bytes come 7 at a time, 30 ms late.
//! world.set_links(|_, _, _| {
//!     let late = Faults { latency: Duration::from_millis(30), write_up_to: Some(7), ..Faults::default() };
//!     [late.clone(), Faults { reset: Some(Spot::Blank(6)), ..late }]
//! });
//! world.run_until(Tick::ZERO + Duration::from_secs(3_600))?;
//!
//! // All 20 answers were heard, once each and in order, over as many responses as it took.
//! let client = world.clients().next().unwrap();
//! let [heard] = client.heard() else { panic!("one session") };
//! assert_eq!(heard.events.len(), 20);
//! assert!(heard.events[19].data.ends_with("20}"));
//! assert_eq!(world.server(0).unwrap().app.0, 20);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Streamable HTTP
//! With [`ServerConfig::streamable`] the server serves `/mcp` as well, and an [`McpClient`] speaks it, in any revision:
//! it comes back with `Last-Event-ID`, polls, takes its own stream over, cancels, and ends its session. An application
//! hears of it by [`Application::handle_incoming`]. Beside the oracle of each stream there is a naive memory of what was
//! said in which place ([`Talk`]), by which every response is held: it begins with what follows the event that
//! its client saw, in its own place, and goes on without a seam; a gap is told only where something is gone; a
//! session that is over, or somebody else's, lets nobody in. What happened is counted by the names in [`HAPPENINGS`].
//!
//! # Worlds by their number
//! [`run`] draws a whole world from a number: who is in it, which kinds of [`Fault`] it has, strangers who know the
//! sessions' ids and send what they like. Of every twenty worlds thirteen speak HTTP+SSE, six Streamable HTTP, and one
//! both. At its end faults heal, and what was said must be heard; then the server
//! finishes, and nothing may be left. A violation comes with the number and, where it is one stream's, with a
//! [`Trace`] that pastes in as a test; [`replay`] runs it.
//!
//! # The laws, and what breaking them looks like
//! Each of these breaks of the code, one at a time, is found by `tests/swarm/bite`, which makes them in a copy and runs
//! the worlds and the properties (`tests/it/props.rs`) over it. It prints which world it was, and as what law it broke:
//!
//! | law | what is broken | found by |
//! |---|---|---|
//! | I1 | a keep-alive of which a byte is out is taken back | worlds |
//! | I1 | the chunk's size leaves out the id line | worlds |
//! | I2 | a cut frame counts as delivered | worlds |
//! | I2 | a POST that waited is answered, and forgotten | worlds |
//! | I2 | a finishing stream leaves what its topic has for it | worlds |
//! | I3 | a later reason takes the place of the first | worlds |
//! | I4 | nothing ends a chunked body | worlds |
//! | I5 | the lag clock does not count | worlds |
//! | I5 | the stall clock does not start when bytes begin to wait | worlds |
//! | I6 | a timeout starts the silence anew | worlds |
//! | I7 | a command fires the clocks, before the driver could offer anything | worlds |
//! | I7 | a write fires the clocks before it counts | worlds |
//! | I8 | the queue takes one frame too many | worlds |
//! | I8 | bytes behind the request are read without end | `props::i1_to_i6_i8_i9_i13_whatever_it_is_told` |
//! | I9 | time goes back inside | worlds |
//! | I10 | a line end that is cut between CR and LF is two | worlds |
//! | I10 | what came behind a head in the same read is dropped | worlds |
//! | I11 | a space at the front of a value is kept by the decoder | worlds |
//! | I12 | a resumed reader misses one event | worlds |
//! | I12 | the end of a session makes those who come back strangers | worlds |
//! | I12 | the journal drops what no peer has taken | worlds |
//! | I12 | a follower begins a run with its first frame | worlds |
//! | I13 | finishing takes twice its time | worlds |
//! | I13 | a dropped driver closes nothing | worlds |
//! | I13 | a session is not told that its response is over | worlds |
//! | I14 | what one follower has taken is gone for the others | worlds |
//! | I12 | an answer goes on one event too early | worlds |
//! | I12 | an id takes up another stream of its session | worlds |
//! | I12 | an answer that is resumed takes the place of the session's own stream | worlds |
//! | I12 | what nobody has read makes room at `/mcp` | worlds |
//! | I12 | a session of `/mcp` is anybody's who knows its id | worlds |
//! | I13 | DELETE leaves the streams of its session | worlds |
//! | I2 | a second response to a request of the server is told, too | worlds |
//! | I3 | a session that was deleted answers while it has streams | worlds |
//! | I8 | one session of `/mcp` too many | worlds |
//!
//! I15 has no break: nothing here can draw on anything but its inputs. That the same number is the same world is looked
//! at in every run.

mod application;
mod attacker;
mod client;
mod driver;
mod fault;
mod happening;
mod law;
mod link;
mod mcp_client;
mod oracle;
mod program;
mod rng;
mod server;
mod session;
mod swarm;
mod trace;
mod watched;
mod world;

pub use application::{Application, Outbox};
pub use attacker::Attacker;
pub use client::{Client, ClientConfig, Heard, request};
pub use driver::{Driven, drive};
pub use fault::{Fault, FaultCounts};
pub use happening::HAPPENINGS;
pub use law::{Law, Violation};
pub use link::{Faults, Link, Spot, Taken};
pub use mcp_client::{Fate, HeardEvent, Lane, McpClient, McpConfig};
pub use oracle::Oracle;
pub use program::{Conn, End, Program, Wish};
pub use rng::Rng;
pub use server::{Ends, Server, ServerConfig, Talk};
pub use swarm::{CLOSE_REASONS, Report, run};
pub use trace::{Op, Setup, Trace, replay};
pub use watched::Watched;
pub use world::{ClockFaults, Pace, World};

use crate::Tick;

/// The earliest of these. It is asked for at every step of every world: hence the plain loop.
fn earliest<const N: usize>(of: [Option<Tick>; N]) -> Option<Tick> {
    let mut first = None;
    for at in of.iter().flatten() {
        if first.is_none_or(|first| *at < first) {
            first = Some(*at);
        }
    }
    first
}
