//! Deterministic simulation: whole programs, bad networks, wild clocks, and laws that are checked at every step.

mod application;
mod attacker;
mod client;
mod fault;
mod law;
mod link;
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
pub use fault::{Fault, FaultCounts};
pub use law::{Law, Violation};
pub use link::{Faults, Link, Spot, Taken};
pub use oracle::Oracle;
pub use program::{Conn, End, Program, Wish};
pub use rng::Rng;
pub use server::{Ends, Server, ServerConfig};
pub use swarm::{CLOSE_REASONS, Report, run};
pub use trace::{Op, Setup, Trace, replay};
pub use watched::Watched;
pub use world::{ClockFaults, Pace, World};
