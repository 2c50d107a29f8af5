//! One child process a session: JSON-RPC lines between its pipes and the client.

use std::ffi::OsString;
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_io::Timer;
use async_process::{Child, ChildStdin, Command};
use futures_util::future::{Either, select};
use futures_util::{AsyncRead, AsyncWriteExt};
use rustix::process::{Pid, Signal, kill_process_group};
use sansio_sse::mcp::Message;
use tracing::{info, warn};

use crate::lines::{Line, Lines};
use crate::peer::{Peer, Say};

/// How long a child has to end after its input was closed, and again after it was asked to terminate.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the output of a child that has ended is still read.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The longest line of the child's log that is passed on.
pub(crate) const LOG_LINE: usize = 8 * 1024;

/// A command, and what it may write.
#[derive(Clone, Debug)]
pub(crate) struct Bridge {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) max_line_bytes: usize,
}

/// The child's process group. Dropping it kills what is left of it, so that nothing outlives its session.
pub(crate) struct Group(Option<Pid>);

impl Group {
    pub(crate) fn of(child: &Child) -> Group {
        Group(i32::try_from(child.id()).ok().and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // The one error that is expected says that nobody is left.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

impl Bridge {
    /// Starts the command, without a shell: its words come from the command line of this program alone.
    pub(crate) fn spawn(&self) -> io::Result<Child> {
        let mut command = std::process::Command::new(&self.program);
        std::os::unix::process::CommandExt::process_group(command.args(&self.arguments), 0);
        Command::from(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
    }

    /// Runs a session to its end, and its child.
    pub(crate) async fn run<P: Peer>(&self, mut session: P) {
        let mut child = match self.spawn() {
            Ok(child) => child,
            Err(error) => {
                warn!(program = %self.program.display(), %error, "the command does not start");
                return;
            }
        };
        let pid = child.id();
        let group = Group::of(&child);
        info!(pid, "child started");
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return; // Not reached: all three are pipes.
        };
        let sender = session.sender();
        let mut log = pin!(pass_log(Lines::new(stderr, LOG_LINE)));
        let exit = child.status();

        // Whichever comes first ends the session: its own end, the child's last line, or the child's exit while
        // a process of its own keeps the output open.
        let ended = {
            let from_child = pin!(from_child(Lines::new(stdout, self.max_line_bytes), &sender));
            let to_child = pin!(to_child(&mut session, stdin));
            let exited = pin!(async {
                let _ = exit.await; // Told below.
                Timer::after(LAST_WORDS).await;
                "the child ended"
            });
            match select(select(from_child, select(to_child, exited)), log.as_mut()).await {
                Either::Left((Either::Left(_), _)) => "the child closed its output",
                Either::Left((Either::Right((first, _)), _)) => first.factor_first().0,
                Either::Right((never, _)) => match never {},
            }
        };
        // Dropped now, so that what the child said last goes out while it ends; and its input is closed.
        let reason = session.reason();
        drop(session);
        let status = {
            let end = end(&mut child, &group);
            match select(pin!(end), log).await {
                Either::Left((status, _)) => status,
                Either::Right((never, _)) => match never {},
            }
        };
        match (status, reason) {
            (Ok(status), Some(reason)) => info!(pid, %status, %reason, "child ended: the session was over"),
            (Ok(status), None) => info!(pid, %status, "child ended: {ended}"),
            (Err(error), _) => warn!(pid, %error, "the child's end is not known"),
        }
    }
}

/// Waits for the child to end; asks it to after a while, and makes it after another.
pub(crate) async fn end(child: &mut Child, group: &Group) -> io::Result<ExitStatus> {
    for signal in [Signal::TERM, Signal::KILL] {
        match select(pin!(child.status()), Timer::after(PATIENCE)).await {
            Either::Left((status, _)) => return status,
            Either::Right(_) => group.signal(signal),
        }
    }
    child.status().await
}

/// Messages from the client become lines, in their order.
async fn to_child<P: Peer>(session: &mut P, mut stdin: ChildStdin) -> &'static str {
    while let Some(message) = session.receive().await {
        let mut line = Vec::with_capacity(message.len() + 1);
        line.extend_from_slice(message.as_str().as_bytes());
        line.push(b'\n');
        // A child that does not read must not keep the session's end from being seen.
        match select(pin!(stdin.write_all(&line)), pin!(session.ended())).await {
            Either::Left((Ok(()), _)) => {}
            Either::Left((Err(error), _)) => {
                warn!(%error, "the child reads no more");
                return "the child closed its input";
            }
            Either::Right(_) => break,
        }
    }
    "the session was over"
}

/// Lines become messages. One that is none is dropped with a warning; while the client is slow, the child waits.
pub(crate) async fn from_child<R: AsyncRead + Unpin>(mut lines: Lines<R>, sender: &impl Say) {
    loop {
        let line = match lines.next().await {
            Ok(Some(Line::Whole(line))) => line,
            Ok(Some(Line::TooLong { bytes })) => {
                warn!(bytes, "a line of the child's is too long: dropped");
                sender.fault();
                continue;
            }
            Ok(None) => return,
            Err(error) => {
                warn!(%error, "the child's output can't be read");
                return;
            }
        };
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match Message::parse(&line) {
            Ok(message) => {
                if message.len() > 1 << 20 {
                    warn!(bytes = message.len(), "a message of more than 1 MiB: some clients abort on one");
                }
                if !sender.say(message).await {
                    return;
                }
            }
            Err(error) => warn!(%error, bytes = line.len(), "a line of the child's is no message: dropped"),
        }
    }
}

/// The child's standard error goes to the log, and to no client. Never ends: the child's end does.
pub(crate) async fn pass_log<R: AsyncRead + Unpin>(mut lines: Lines<R>) -> std::convert::Infallible {
    loop {
        match lines.next().await {
            Ok(Some(Line::Whole(line))) => info!(target: "child", "{}", String::from_utf8_lossy(&line)),
            Ok(Some(Line::TooLong { bytes })) => info!(target: "child", bytes, "a long line"),
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}
