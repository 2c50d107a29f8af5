//! Plain Server-Sent Events on smol: a clock, at `GET /events`. Try it with `curl -N http://127.0.0.1:8000/events`.

use std::error::Error;
use std::time::Duration;

use sansio_sse::Frame;
use sansio_sse_adapters::{Server, Service, SmolRuntime};

fn main() -> Result<(), Box<dyn Error>> {
    let service = Service::builder()
        .events("/events", |events, _request| async move {
            for second in 0_u64.. {
                // An error says that the client is gone.
                if events.send_wait(Frame::message(&second.to_string())).await.is_err() {
                    return;
                }
                smol::Timer::after(Duration::from_secs(1)).await;
            }
        })
        .build()?;
    smol::block_on(async {
        let server = Server::<SmolRuntime>::bind("127.0.0.1:8000".parse()?, service).await?;
        println!("http://{}/events", server.local_addr());
        server.run(std::future::pending()).await;
        Ok(())
    })
}
