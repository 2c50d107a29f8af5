//! The smol runtime: its reactor's sockets and timers, its global executor.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_io::Async;
use socket2::SockRef;

use super::{Runtime, Timer, set_user_timeout};

/// Runs servers and drivers on smol.
#[derive(Clone, Copy, Debug)]
pub struct SmolRuntime;

/// A timer of smol's reactor.
#[derive(Debug)]
pub struct SmolTimer(async_io::Timer);

impl Default for SmolTimer {
    fn default() -> SmolTimer {
        SmolTimer(async_io::Timer::never())
    }
}

impl Timer for SmolTimer {
    fn set(&mut self, at: Instant) {
        self.0.set_at(at);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}

impl Runtime for SmolRuntime {
    type Io = Async<TcpStream>;
    type Listener = Async<TcpListener>;
    type Timer = SmolTimer;

    async fn bind(addr: SocketAddr) -> io::Result<Self::Listener> {
        Async::<TcpListener>::bind(addr)
    }

    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr> {
        listener.get_ref().local_addr()
    }

    async fn accept(listener: &Self::Listener) -> io::Result<(Self::Io, SocketAddr)> {
        let (io, peer) = listener.accept().await?;
        io.get_ref().set_nodelay(true)?;
        Ok((io, peer))
    }

    fn give_up_after(io: &Self::Io, silence: Duration) -> io::Result<()> {
        set_user_timeout(&SockRef::from(io.get_ref()), silence)
    }

    fn timer() -> SmolTimer {
        SmolTimer::default()
    }

    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(future).detach();
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::{Async, Duration, Runtime, SmolRuntime, SockRef, TcpListener, TcpStream};

    #[test]
    fn hurt_09_the_system_gives_up_a_peer_that_acknowledges_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let io = Async::new(TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
        SmolRuntime::give_up_after(&io, Duration::from_secs(30)).unwrap();
        let set = SockRef::from(io.get_ref()).tcp_user_timeout().unwrap();
        assert_eq!(set, Some(Duration::from_secs(30)));
    }
}
