//! Where a line ends: the search that both directions spend their time in.

use memchr::memchr2;

/// From here on a call of the vectorised search pays.
const NEAR: usize = 32;

/// The first CR or LF. Most lines are short, and found without a call.
#[inline]
pub(crate) fn find(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < NEAR {
        let Some(word) = bytes[at..].first_chunk() else {
            return find_in_few(bytes, at);
        };
        let ends = marks(*word);
        if ends != 0 {
            return Some(at + ends.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr2(b'\r', b'\n', &bytes[at..]).map(|end| at + end)
}

/// As [`find`], in the last, up to seven, bytes from `at` on.
#[inline]
fn find_in_few(bytes: &[u8], at: usize) -> Option<usize> {
    if at == bytes.len() {
        return None;
    }
    // The last eight bytes overlap with what was searched, without effect.
    if let Some(word) = bytes.last_chunk() {
        let ends = marks(*word);
        return (ends != 0).then(|| bytes.len() - 8 + ends.trailing_zeros() as usize / 8);
    }
    bytes[at..].iter().position(|byte| matches!(byte, b'\r' | b'\n')).map(|end| at + end)
}

/// The top bit of each byte that is CR or LF; bits above the lowest one may be wrong.
#[inline]
fn marks(word: [u8; 8]) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    let word = u64::from_le_bytes(word);
    let (lf, cr) = (word ^ (ONES * b'\n' as u64), word ^ (ONES * b'\r' as u64));
    // A byte that is zero borrows from above; where it did not have its top bit, that is now set.
    (lf.wrapping_sub(ONES) & !lf | cr.wrapping_sub(ONES) & !cr) & (ONES << 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn the_first_line_end_is_found_wherever_it_is() {
        let others = [0, 1, 9, 11, 12, 14, b'\n' | 0x80, b'\r' | 0x80, 0xFF, b'a'];
        for len in 0..80 {
            for other in others {
                let mut bytes = vec![other; len];
                assert_eq!(find(&bytes), None);
                for at in (0..len).rev() {
                    bytes[at] = if at % 2 == 0 { b'\r' } else { b'\n' };
                    assert_eq!(find(&bytes), Some(at));
                }
            }
        }
    }
}
