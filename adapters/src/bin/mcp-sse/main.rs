//! `mcp-sse`: puts a stdio MCP server, or the built-in demo, on the network over Streamable HTTP and HTTP+SSE.

mod bridge;
mod demo;
mod lines;
mod options;
mod peer;
mod serve;
mod shared;

use std::process::ExitCode;

use clap::Parser;

use options::{Cli, Command, ServeOptions};

fn main() -> ExitCode {
    let options = match Cli::parse().command {
        Some(Command::Serve(options)) => *options,
        None => ServeOptions::from_environment(),
    };
    match serve::serve(options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mcp-sse: {error}");
            ExitCode::FAILURE
        }
    }
}
