//! The tokio runtime: its sockets seen through the futures traits, its timers, its tasks.

use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_util::io::{AsyncRead, AsyncWrite};
use socket2::SockRef;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;

use super::{Runtime, Timer, prepare};

/// Runs servers and drivers on tokio. Its functions must be called inside a tokio runtime.
#[derive(Clone, Copy, Debug)]
pub struct TokioRuntime;

/// A timer of tokio's. It is made when it is first set: an idle stream without deadlines has none.
#[derive(Debug, Default)]
pub struct TokioTimer(Option<Pin<Box<Sleep>>>);

impl Timer for TokioTimer {
    fn set(&mut self, at: Instant) {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().reset(at.into()),
            None => self.0 = Some(Box::pin(tokio::time::sleep_until(at.into()))),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

/// A tokio socket as the futures traits know one, vectored writes included. Writes ask the socket before the runtime:
/// it nearly always takes them, and what the runtime knows of its readiness is far away in memory.
#[derive(Debug)]
pub struct TokioIo(TcpStream);

/// What the socket says at once; `None` if the runtime is to be asked, which wakes when the socket takes more.
#[cfg(target_os = "linux")]
fn send(socket: &TcpStream, bufs: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
    use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

    let sent = match bufs {
        [buf] => send(socket, buf, SendFlags::NOSIGNAL),
        _ => sendmsg(socket, bufs, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL),
    };
    match sent {
        Err(rustix::io::Errno::AGAIN) => None,
        sent => Some(sent.map_err(io::Error::from)),
    }
}

#[cfg(not(target_os = "linux"))]
fn send(_: &TcpStream, _: &[IoSlice<'_>]) -> Option<io::Result<usize>> {
    None
}

impl AsyncRead for TokioIo {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl AsyncWrite for TokioIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match SockRef::from(&self.0).send(buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Pin::new(&mut self.0).poll_write(cx, buf)
            }
            sent => Poll::Ready(sent),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match send(&self.0, bufs) {
            Some(sent) => Poll::Ready(sent),
            None => Pin::new(&mut self.0).poll_write_vectored(cx, bufs),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl Runtime for TokioRuntime {
    type Io = TokioIo;
    type Listener = TcpListener;
    type Timer = TokioTimer;

    async fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(addr).await
    }

    fn local_addr(listener: &TcpListener) -> io::Result<SocketAddr> {
        listener.local_addr()
    }

    async fn accept(listener: &TcpListener) -> io::Result<(TokioIo, SocketAddr)> {
        let (io, peer) = listener.accept().await?;
        Ok((TokioIo(io), peer))
    }

    fn prepare(listener: &Self::Listener, give_up_after: Option<Duration>) -> io::Result<()> {
        prepare(&SockRef::from(listener), give_up_after)
    }

    fn timer() -> TokioTimer {
        TokioTimer::default()
    }

    fn spawn(future: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(future);
    }
}
