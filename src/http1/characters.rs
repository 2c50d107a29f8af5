//! Which characters may stand where: one look at a table for each.

/// A set of bytes.
pub(super) struct Class([bool; 256]);

/// What names are made of (RFC 9110 §5.6.2).
pub(super) const TOKEN: Class = Class::alphanumeric_and(b"!#$%&'*+-.^_`|~");

/// What a query is made of: visible ASCII without what RFC 3986 wants escaped and every browser escapes. Other servers
/// refuse it, so that what is in front of one and what is behind would not agree.
pub(super) const QUERY: Class = Class::alphanumeric_and(b"!$%&'()*+,-./:;=?@[\\]^_`{|}~");

/// What a path is made of: the same, without the grave accent.
pub(super) const PATH: Class = QUERY.without(b'`');

/// What a registered name is made of (RFC 3986 §3.2.2), besides what it escapes.
pub(super) const NAME: Class = Class::alphanumeric_and(b"-._~!$&'()*+,;=");

impl Class {
    const fn alphanumeric_and(others: &[u8]) -> Class {
        let mut has = [false; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            has[byte as usize] = byte.is_ascii_alphanumeric();
            byte += 1;
        }
        let mut at = 0;
        while at < others.len() {
            has[others[at] as usize] = true;
            at += 1;
        }
        Class(has)
    }

    const fn without(self, byte: u8) -> Class {
        let mut has = self.0;
        has[byte as usize] = false;
        Class(has)
    }

    #[inline]
    pub(super) fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }

    #[inline]
    pub(super) fn has_all(&self, bytes: &[u8]) -> bool {
        bytes.iter().all(|byte| self.has(*byte))
    }
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && TOKEN.has_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::{NAME, PATH, QUERY, TOKEN};

    #[test]
    fn each_class_has_what_its_grammar_says() {
        for byte in 0..=255_u8 {
            let query = byte.is_ascii_graphic() && !b"\"#<>".contains(&byte);
            assert_eq!(QUERY.has(byte), query, "{byte:#x}");
            assert_eq!(PATH.has(byte), query && byte != b'`', "{byte:#x}");
            let separators = b"\"(),/:;<=>?@[\\]{}";
            assert_eq!(TOKEN.has(byte), byte.is_ascii_graphic() && !separators.contains(&byte), "{byte:#x}");
            let reserved = b"\"#%/:<>?@[\\]^`{|}";
            assert_eq!(NAME.has(byte), byte.is_ascii_graphic() && !reserved.contains(&byte), "{byte:#x}");
        }
    }
}
