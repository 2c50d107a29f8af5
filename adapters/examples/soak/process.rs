//! [`Process`]: the server, as the process that loads it sees it.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::Duration;

use smol::Timer;
use smol::channel::{Receiver, unbounded};

use crate::book::Told;
use crate::meter::Reading;

/// A server that runs until this is dropped.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    counts: Receiver<String>,
    pub(crate) addr: SocketAddr,
    /// Streams that have ended: their keys, and what the server says of them.
    pub(crate) ends: Receiver<(u64, Told)>,
}

impl Process {
    pub(crate) fn start(runtime: &str) -> Result<Process, Box<dyn Error>> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["--serve", runtime])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take();
        let mut lines = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let ready = lines.next().ok_or("the server has not started")??;
        let addr = ready.strip_prefix("ready ").ok_or("the server has not started")?.parse()?;
        let (count, counts) = unbounded();
        let (end, ends) = unbounded();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let sent = match read_end(&line) {
                    Some(told) => end.send_blocking(told).is_ok(),
                    None => count.send_blocking(line).is_ok(),
                };
                if !sent {
                    return;
                }
            }
        });
        Ok(Process { child, stdin, counts, addr, ends })
    }

    pub(crate) fn reading(&self) -> Result<Reading, Box<dyn Error>> {
        Reading::of(self.child.id())
    }

    /// Waits until nothing is left of any client; what is, after a while.
    pub(crate) async fn gone(&mut self, start: &Reading) -> Result<Option<String>, Box<dyn Error>> {
        let mut left = String::new();
        for _ in 0..100 {
            if let Some(stdin) = &mut self.stdin {
                stdin.write_all(b"count\n")?;
            }
            let count = self.counts.recv().await?;
            let descriptors = self.reading()?.descriptors;
            if count == "count 0 0" && descriptors == start.descriptors {
                return Ok(None);
            }
            left = format!("left behind: {count}, {descriptors} descriptors of {}", start.descriptors);
            Timer::after(Duration::from_millis(200)).await;
        }
        Ok(Some(left))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stdin.take());
        // It has been asked to stop; if it doesn't, that shows.
        let _ = self.child.wait();
    }
}

fn read_end(line: &str) -> Option<(u64, Told)> {
    let mut parts = line.strip_prefix("end ")?.split(' ');
    let mut number = || parts.next()?.parse().ok();
    let (key, accepted, undelivered) = (number()?, number()?, number()?);
    Some((key, Told { accepted, undelivered, reason: parts.next()?.into() }))
}
