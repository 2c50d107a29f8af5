//! tokio, and nothing on it: a task a connection that answers, and waits for the client to leave. What the runtime
//! itself takes of every server that gives a connection a task.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;

use super::hub::runtime;
use crate::contract::FIRST;

pub fn serve(listener: TcpListener, threads: usize) -> Result<(), Box<dyn Error>> {
    runtime(threads)?.block_on(async {
        let open = Arc::new(AtomicUsize::new(0));
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (socket, _) = listener.accept().await?;
            socket.set_nodelay(true)?;
            tokio::spawn(answer(socket, Arc::clone(&open)));
        }
    })
}

/// A request's head is taken to come in one piece, and an answer to be taken in one: both are short.
async fn answer(socket: TcpStream, open: Arc<AtomicUsize>) -> io::Result<()> {
    let asked = loop {
        socket.readable().await?;
        match read(&socket) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            asked => break asked?,
        }
    };
    match asked {
        Asked::Events => {
            let first = format!("data: {FIRST}\n\n");
            socket.try_write(
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n\
                     Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n",
                    first.len()
                )
                .as_bytes(),
            )?;
        }
        Asked::Stats => {
            let stats = format!("{{\"sessions\":{}}}", open.load(Ordering::Relaxed));
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", stats.len());
            socket.try_write((head + &stats).as_bytes())?;
            return Ok(());
        }
        Asked::Nothing => return Ok(()),
    }
    open.fetch_add(1, Ordering::Relaxed);
    loop {
        if socket.readable().await.is_err() {
            break;
        }
        match socket.try_read(&mut [0; 64]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    open.fetch_sub(1, Ordering::Relaxed);
    Ok(())
}

/// What a request is for.
enum Asked {
    Events,
    Stats,
    Nothing,
}

fn read(socket: &TcpStream) -> io::Result<Asked> {
    let mut bytes = [0; 512];
    let len = socket.try_read(&mut bytes)?;
    Ok(match &bytes[..len] {
        head if head.starts_with(b"GET /events ") => Asked::Events,
        head if head.starts_with(b"GET /stats ") => Asked::Stats,
        _ => Asked::Nothing,
    })
}
