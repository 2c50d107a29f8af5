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

use options::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let Command::Serve(options) = cli.command.unwrap_or_else(Command::without_arguments);
    match serve::serve(*options) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mcp-sse: {error}");
            ExitCode::FAILURE
        }
    }
}
