//! What was published and is not yet with everybody: bytes that all connections share, ready to be written.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, Write},
    net::TcpStream,
};

use crate::contract::write_event;

/// The bytes of a run; frames may lie across two.
const RUN: usize = 256 << 10;
/// The most runs that one `writev` gets: more than a socket takes.
const RUNS: usize = 16;

/// Frames, one behind the other, cut into runs that stay where they are.
#[derive(Default)]
pub struct Log {
    runs: VecDeque<Vec<u8>>,
    /// The position of the first byte.
    first: u64,
    /// The position behind the last.
    end: u64,
    event: Vec<u8>,
}

impl Log {
    /// The position of what will be published next.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Adds message `seq`, as a chunk.
    pub fn push(&mut self, seq: u64, size: usize) {
        self.event.clear();
        write_event(&mut self.event, seq, size);
        let mut chunk = format!("{:x}\r\n", self.event.len()).into_bytes();
        chunk.extend_from_slice(&self.event);
        chunk.extend_from_slice(b"\r\n");
        self.end += chunk.len() as u64;
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            let room = self.runs.back().map_or(0, |run| RUN - run.len());
            let (now, later) = rest.split_at(rest.len().min(room));
            match self.runs.back_mut() {
                Some(run) if room > 0 => run.extend_from_slice(now),
                _ => self.runs.push_back(Vec::with_capacity(4 << 10)),
            }
            rest = later;
        }
    }

    /// Forgets all, which everybody has.
    pub fn clear(&mut self) {
        self.first = self.end;
        self.runs.clear();
    }

    /// Writes from `cursor` on until all is written (true) or the socket takes no more.
    pub fn write(&self, socket: &mut TcpStream, cursor: &mut u64) -> io::Result<bool> {
        while *cursor < self.end {
            let at = (*cursor - self.first) as usize;
            let mut pieces = [IoSlice::new(&[]); RUNS];
            let mut count = 0;
            for (piece, run) in pieces.iter_mut().zip(self.runs.range(at / RUN..)) {
                *piece = IoSlice::new(run);
                count += 1;
            }
            pieces[0].advance(at % RUN);
            match socket.write_vectored(&pieces[..count]) {
                Ok(wrote) => *cursor += wrote as u64,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}
