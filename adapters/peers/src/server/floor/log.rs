//! What was published and is not yet with everybody, as frames that all connections share.

use std::{
    io::{self, IoSlice, Write},
    net::TcpStream,
};

use crate::contract::write_event;

/// The most pieces that one `writev` takes (`IOV_MAX`).
pub const PIECES: usize = 1024;

/// The frames, of which the first has the number `first`.
#[derive(Default)]
pub struct Log {
    frames: Vec<Box<[u8]>>,
    first: u64,
}

/// How far a connection is.
#[derive(Clone, Copy)]
pub struct Cursor {
    /// The frame that is next.
    pub frame: u64,
    /// Bytes of this frame that are written.
    pub byte: usize,
}

impl Log {
    pub fn end(&self) -> Cursor {
        Cursor { frame: self.first + self.frames.len() as u64, byte: 0 }
    }

    pub fn push(&mut self, seq: u64, size: usize) {
        let mut event = Vec::with_capacity(size + 16);
        write_event(&mut event, seq, size);
        let mut frame = format!("{:x}\r\n", event.len()).into_bytes();
        frame.extend_from_slice(&event);
        frame.extend_from_slice(b"\r\n");
        self.frames.push(frame.into_boxed_slice());
    }

    /// Forgets all frames, which everybody has.
    pub fn clear(&mut self) {
        self.first += self.frames.len() as u64;
        self.frames.clear();
    }

    /// At most `most` frames from number `from` on, as `writev` takes them.
    pub fn view(&self, from: u64, most: usize) -> View<'_> {
        let frames = self.frames.iter().skip((from - self.first) as usize).take(most);
        View { first: from, slices: frames.map(|frame| IoSlice::new(frame)).collect() }
    }

    /// The number of the first frame.
    pub fn first(&self) -> u64 {
        self.first
    }
}

/// Some frames of a log, ready to be written to many.
pub struct View<'a> {
    first: u64,
    slices: Vec<IoSlice<'a>>,
}

impl View<'_> {
    /// Writes from `cursor` on until all of the view is written (true) or the socket takes no more.
    pub fn write(&self, socket: &mut TcpStream, cursor: &mut Cursor) -> io::Result<bool> {
        loop {
            let rest = &self.slices[(cursor.frame - self.first) as usize..];
            let rest = &rest[..rest.len().min(PIECES)];
            let Some(first) = rest.first() else { return Ok(true) };
            let wrote = if cursor.byte == 0 {
                socket.write_vectored(rest)
            } else {
                let mut rest = rest.to_vec();
                rest[0].advance(cursor.byte);
                socket.write_vectored(&rest)
            };
            let mut wrote = match wrote {
                Ok(wrote) => wrote,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            wrote += cursor.byte;
            cursor.byte = 0;
            if wrote < first.len() {
                cursor.byte = wrote;
                continue;
            }
            for piece in rest {
                if wrote < piece.len() {
                    break;
                }
                wrote -= piece.len();
                cursor.frame += 1;
            }
            cursor.byte = wrote;
        }
    }
}
