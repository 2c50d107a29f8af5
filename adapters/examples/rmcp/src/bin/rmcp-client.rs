//! rmcp's client against a server: `rmcp-client URL SESSIONS`. One line, and 0, if all held; else why not, and 1.

use std::process::ExitCode;

use clap::Parser;

/// Tries a server of Streamable HTTP with rmcp's client.
#[derive(Parser)]
struct Options {
    /// The endpoint, such as http://127.0.0.1:4444/mcp.
    url: String,
    /// How many sessions at once.
    sessions: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match sansio_sse_rmcp::client::try_out(&options.url, options.sessions) {
        Ok(tally) => {
            println!("{tally}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
