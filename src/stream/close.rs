//! How an event stream ends: [`Close`], its [`CloseReason`] and its [`Manner`].

/// How the driver learned that the peer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Disconnect {
    /// The peer closed its sending side (a FIN). While a response streams, that is the end of the client.
    Eof,
    /// The connection was reset, or a write met a closed pipe.
    Reset,
    /// Any other I/O error; the driver keeps the details.
    Io,
}
