//! MCP sessions inside a tokio program: every message of a client comes out of a stream, every answer goes into a
//! sink. This one answers each request with an empty result.

use std::error::Error;

use futures_util::{SinkExt, StreamExt};
use sansio_sse::mcp::{HttpSse, Message};
use sansio_sse_adapters::{Server, Service, Session, TokioRuntime};

async fn serve(mut session: Session) {
    while let Some(message) = session.next().await {
        let Some(id) = message.id() else { continue };
        let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
        let Ok(answer) = answer.parse::<Message>() else { continue };
        // An error says that the session is over; then the stream ends too.
        let _ = session.send(answer).await;
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = Service::builder().http_sse("/sse", HttpSse::default(), serve).build()?;
    let server = Server::<TokioRuntime>::bind("127.0.0.1:8000".parse()?, service).await?;
    println!("http://{}/sse", server.local_addr());
    let server = tokio::spawn(server.run(std::future::pending()));
    // The rest of the program goes on here.
    server.await?;
    Ok(())
}
