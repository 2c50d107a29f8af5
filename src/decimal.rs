//! Numbers as text, without the formatting machinery: on the path of every frame.

/// The longest decimal text of a `u64`.
pub(crate) const DECIMAL_LEN: usize = 20;

/// Writes `n` in decimal into the end of `buffer`; gives back where it starts.
pub(crate) fn format(buffer: &mut [u8; DECIMAL_LEN], mut n: u64) -> &[u8] {
    let mut at = DECIMAL_LEN;
    loop {
        at -= 1;
        buffer[at] = b"0123456789"[(n % 10) as usize];
        n /= 10;
        if n == 0 {
            return &buffer[at..];
        }
    }
}
