//! Serves the tools of this package on the network: `rmcp-server [--listen 127.0.0.1:0] [--runtime smol|tokio]`.

use std::error::Error;
use std::net::SocketAddr;

use async_compat::Compat;
use async_signal::{Signal, Signals};
use clap::{Parser, ValueEnum};
use futures_util::StreamExt;
use sansio_sse_adapters::{Runtime, Server, SmolRuntime, TokioRuntime};

/// An rmcp service over HTTP+SSE and Streamable HTTP.
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 is any that is free.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What serves the sockets.
    #[arg(long, value_enum, default_value = "smol")]
    runtime: RuntimeName,
}

#[derive(Clone, Copy, ValueEnum)]
enum RuntimeName {
    Smol,
    Tokio,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    match options.runtime {
        // So the tokio that rmcp needs beside smol is there from the start, and not from the first session on.
        RuntimeName::Smol => smol::block_on(Compat::new(serve::<SmolRuntime>(options.listen))),
        RuntimeName::Tokio => tokio::runtime::Runtime::new()?.block_on(serve::<TokioRuntime>(options.listen)),
    }
}

async fn serve<R: Runtime>(listen: SocketAddr) -> Result<(), Box<dyn Error>> {
    let mut signals = Signals::new([Signal::Int, Signal::Term])?;
    let server = Server::<R>::bind(listen, sansio_sse_rmcp::service()?).await?;
    println!("http://{0}/sse and http://{0}/mcp", server.local_addr());
    server.run(async { drop(signals.next().await) }).await;
    Ok(())
}
