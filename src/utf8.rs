//! Whether bytes are UTF-8: the other half of what decoding spends its time in, beside the search for line ends.

use core::str;

/// The text that these bytes are, if they are UTF-8.
#[inline]
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    #[cfg(feature = "simd")]
    return simdutf8::basic::from_utf8(bytes).ok();
    #[cfg(not(feature = "simd"))]
    str::from_utf8(bytes).ok()
}

/// The text that they begin with.
pub(crate) fn longest_text(bytes: &[u8]) -> &str {
    text(bytes).unwrap_or_else(|| {
        // Where a piece ends, a character is often cut.
        let cut =
            bytes.len() - bytes.iter().rev().take(3).position(|byte| *byte >= 0xC0).map_or(0, |at| at + 1);
        text(&bytes[..cut]).unwrap_or_else(|| {
            let valid = |invalid: str::Utf8Error| str::from_utf8(&bytes[..invalid.valid_up_to()]);
            str::from_utf8(bytes).or_else(valid).unwrap_or_default()
        })
    })
}
