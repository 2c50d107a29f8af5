//! The smol runtime: its reactor's sockets and timers, its global executor.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_io::Async;
use futures_util::io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

use super::{Runtime, Timer, prepare};

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

/// A socket in smol's reactor. Closing it sends a FIN, which [`Async`] alone does not do.
#[derive(Debug)]
pub struct SmolIo {
    socket: Async<TcpStream>,
    /// There was nothing to read: the reactor knows when there is, and the socket need not be asked before.
    unread: bool,
}

impl SmolIo {
    fn new(socket: Async<TcpStream>) -> SmolIo {
        SmolIo { socket, unread: false }
    }
}

impl AsyncRead for SmolIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.unread {
            ready!(self.socket.poll_readable(cx))?;
        }
        let read = Pin::new(&mut self.socket).poll_read(cx, buf);
        self.unread = read.is_pending();
        read
    }
}

impl AsyncWrite for SmolIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.get_ref().shutdown(Shutdown::Write))
    }
}

/// A connection that does not block: [`Async`] by itself would need one more call for that.
#[cfg(target_os = "linux")]
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    use rustix::net::{SocketFlags, acceptfrom_with};

    let (socket, peer) = acceptfrom_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC)?;
    let peer = peer.and_then(|peer| peer.try_into().ok());
    Ok((socket.into(), peer.ok_or(io::ErrorKind::NotConnected)?))
}

#[cfg(not(target_os = "linux"))]
fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (socket, peer) = listener.accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket, peer))
}

impl Runtime for SmolRuntime {
    type Io = SmolIo;
    type Listener = Async<TcpListener>;
    type Timer = SmolTimer;

    async fn bind(addr: SocketAddr) -> io::Result<Self::Listener> {
        Async::<TcpListener>::bind(addr)
    }

    fn local_addr(listener: &Self::Listener) -> io::Result<SocketAddr> {
        listener.get_ref().local_addr()
    }

    async fn accept(listener: &Self::Listener) -> io::Result<(Self::Io, SocketAddr)> {
        let (io, peer) = listener.read_with(accept).await?;
        Ok((SmolIo::new(Async::new_nonblocking(io)?), peer))
    }

    fn prepare(listener: &Self::Listener, give_up_after: Option<Duration>) -> io::Result<()> {
        prepare(&SockRef::from(listener.get_ref()), give_up_after)
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
    use super::{Duration, Runtime, SmolRuntime, SockRef, TcpStream};

    #[test]
    fn hurt_09_the_system_gives_up_a_peer_that_acknowledges_nothing() {
        smol::block_on(async {
            let listener = SmolRuntime::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
            SmolRuntime::prepare(&listener, Some(Duration::from_secs(30))).unwrap();
            let _client = TcpStream::connect(SmolRuntime::local_addr(&listener).unwrap()).unwrap();
            let (io, _) = SmolRuntime::accept(&listener).await.unwrap();
            let accepted = SockRef::from(io.socket.get_ref());
            assert_eq!(accepted.tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
            assert!(accepted.tcp_nodelay().unwrap(), "small writes go out at once");
        });
    }
}
