//! The servers under test, each in its own process: all that speak [the contract](crate::contract) in this package.

mod actix;
mod axum;
mod bare;
mod floor;
mod hub;
mod hyper;
mod rmcp;

use std::{error::Error, net::TcpListener};

use clap::ValueEnum;
use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};

/// A server that this package has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A bare epoll loop.
    Floor,
    /// A task a connection on tokio, and nothing else.
    Bare,
    /// axum's `Sse`.
    Axum,
    /// hyper, by hand.
    Hyper,
    /// actix-web.
    Actix,
    /// rmcp's streamable HTTP server.
    Rmcp,
}

/// Serves on 127.0.0.1 until the process is ended.
pub fn serve(kind: Kind, port: u16, threads: usize) -> Result<(), Box<dyn Error>> {
    let listener = listener(port)?;
    match kind {
        Kind::Floor => floor::serve(listener, threads),
        Kind::Bare => bare::serve(listener, threads),
        Kind::Axum => axum::serve(listener, threads),
        Kind::Hyper => hyper::serve(listener, threads),
        Kind::Actix => actix::serve(listener, threads),
        Kind::Rmcp => rmcp::serve(listener, threads),
    }
}

/// A listener that does not block, with the same queue for every server.
fn listener(port: u16) -> Result<TcpListener, Box<dyn Error>> {
    let fd = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_reuseaddr(&fd, true)?;
    bind(&fd, &std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, port))?;
    listen(&fd, 4096)?;
    let listener = TcpListener::from(fd);
    listener.set_nonblocking(true)?;
    Ok(listener)
}
