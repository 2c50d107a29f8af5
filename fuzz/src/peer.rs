//! `hyper`'s server as the second opinion on requests, driven without a runtime: its socket is a slice, and what it
//! waits for never wakes it.

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyper::body::{Body, Incoming};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};

/// A request, as either of the two servers understood it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Understood {
    /// The method.
    pub method: String,
    /// The path, `/` where the target has none.
    pub path: String,
    /// The query, if there is one.
    pub query: Option<String>,
    /// Which host is asked: the authority of the target, else `Host`.
    pub authority: Option<String>,
    /// All headers by name in lower case, those of one name in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, once it is complete.
    pub body: Option<Vec<u8>>,
}

/// All requests that hyper finds in `input`, each answered by an empty 200.
pub fn serve(input: &[u8]) -> Vec<Understood> {
    let found = Rc::new(RefCell::new(Vec::<Understood>::new()));
    let progress = Rc::new(RefCell::new(0));
    let socket = Socket { input: input.to_vec(), at: 0, progress: Rc::clone(&progress) };
    let service = service_fn(|request| answer(request, Rc::clone(&found), Rc::clone(&progress)));
    let mut builder = http1::Builder::new();
    // Numbers of headers are a matter of limits, and ours are held elsewhere.
    builder.auto_date_header(false).header_read_timeout(None).half_close(true).max_headers(4096);
    {
        let mut connection = pin!(builder.serve_connection(socket, service));
        let mut context = Context::from_waker(Waker::noop());
        let mut quiet = 0;
        while quiet < 4 {
            let before = *progress.borrow();
            if connection.as_mut().poll(&mut context).is_ready() {
                break;
            }
            quiet = if *progress.borrow() == before { quiet + 1 } else { 0 };
        }
    }
    found.take()
}

async fn answer(
    request: Request<Incoming>,
    found: Rc<RefCell<Vec<Understood>>>,
    progress: Rc<RefCell<usize>>,
) -> Result<Response<String>, Infallible> {
    let (head, mut body) = request.into_parts();
    let host = || head.headers.get("host").map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    let place = found.borrow().len();
    let mut headers: Vec<_> =
        head.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    headers.sort_by(|a, b| a.0.cmp(&b.0));
    found.borrow_mut().push(Understood {
        method: head.method.to_string(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().map(str::to_owned),
        authority: head.uri.authority().map(ToString::to_string).or_else(host),
        headers,
        body: None,
    });
    let mut whole = Vec::new();
    loop {
        *progress.borrow_mut() += 1;
        match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            Some(Ok(frame)) => whole.extend(frame.into_data().ok().into_iter().flatten()),
            Some(Err(_)) => break,
            None => {
                found.borrow_mut()[place].body = Some(whole);
                break;
            }
        }
    }
    Ok(Response::new(String::new()))
}

/// Gives its input, then nothing, as a client does that waits; takes all that is written.
struct Socket {
    input: Vec<u8>,
    at: usize,
    progress: Rc<RefCell<usize>>,
}

impl Read for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let n = (this.input.len() - this.at).min(buffer.remaining());
        if n == 0 {
            return Poll::Pending;
        }
        buffer.put_slice(&this.input[this.at..this.at + n]);
        this.at += n;
        *this.progress.borrow_mut() += 1;
        Poll::Ready(Ok(()))
    }
}

impl Write for Socket {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        *self.progress.borrow_mut() += 1;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
