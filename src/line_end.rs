//! Where a line ends: the search that both directions spend their time in.

use memchr::memchr2;

/// From here on a call of the vectorised search pays.
const NEAR: usize = 32;

/// So much is looked at in one step.
const STEP: usize = 16;

/// The first CR or LF. Most lines are short, and found without a call.
#[inline]
pub(crate) fn find(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < NEAR {
        let Some(step) = bytes[at..].first_chunk() else {
            return find_in_few(bytes, at);
        };
        if holds_end(step) {
            return Some(at + first_end(step));
        }
        at += STEP;
    }
    memchr2(b'\r', b'\n', &bytes[at..]).map(|end| at + end)
}

/// As [`find`], in the last bytes from `at` on, fewer than a step.
#[inline]
fn find_in_few(bytes: &[u8], at: usize) -> Option<usize> {
    if at == bytes.len() {
        return None;
    }
    // The last sixteen bytes overlap with what was searched, without effect.
    if let Some(step) = bytes.last_chunk() {
        return holds_end(step).then(|| bytes.len() - STEP + first_end(step));
    }
    let mut at = 0;
    if let Some(word) = bytes.first_chunk() {
        let ends = marks(u64::from_le_bytes(*word).into());
        if ends != 0 {
            return Some(ends.trailing_zeros() as usize / 8);
        }
        at = 8;
    }
    bytes[at..].iter().position(|byte| matches!(byte, b'\r' | b'\n')).map(|end| at + end)
}

/// Whether CR or LF is among these bytes. In this form the compiler compares all of them at once.
#[inline]
fn holds_end(step: &[u8; STEP]) -> bool {
    let holds = |end| step.iter().fold(false, |found, byte| found | (*byte == end));
    holds(b'\r') | holds(b'\n')
}

/// Where the first CR or LF is among bytes that hold one.
#[inline]
fn first_end(step: &[u8; STEP]) -> usize {
    marks(u128::from_le_bytes(*step)).trailing_zeros() as usize / 8
}

/// The top bit of each byte that is CR or LF; bits above the lowest one may be wrong.
#[inline]
fn marks(bytes: u128) -> u128 {
    const ONES: u128 = u128::from_ne_bytes([1; STEP]);
    let (lf, cr) = (bytes ^ (ONES * b'\n' as u128), bytes ^ (ONES * b'\r' as u128));
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
