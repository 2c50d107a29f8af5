//! Looks into a JSON object for single members, and leaves all of it as it is.

use alloc::borrow::Cow;
use alloc::string::String;
use core::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::Text;

/// A member that is looked for stands there twice, or what should be an object is none: readers could differ about
/// what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unclear;

/// The members of these names, as their JSON text; no more than one of each name is borne.
pub(crate) fn members<'a, const N: usize>(
    object: &'a str,
    names: [&'static str; N],
) -> Result<[Option<&'a str>; N], Unclear> {
    struct Wanted<const N: usize>([&'static str; N]);

    impl<'de, const N: usize> DeserializeSeed<'de> for Wanted<N> {
        type Value = [Option<&'de str>; N];

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_map(self)
        }
    }

    impl<'de, const N: usize> Visitor<'de> for Wanted<N> {
        type Value = [Option<&'de str>; N];

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = [None; N];
            while let Some(Text(key)) = map.next_key()? {
                match self.0.iter().position(|name| *name == key) {
                    Some(at) => {
                        let value: &RawValue = map.next_value()?;
                        if found[at].replace(value.get()).is_some() {
                            return Err(A::Error::custom("twice"));
                        }
                    }
                    None => {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
            }
            Ok(found)
        }
    }

    Wanted(names).deserialize(&mut serde_json::Deserializer::from_str(object)).map_err(|_| Unclear)
}

/// The text of a JSON string; `None` if it is something else.
pub(crate) fn string(json: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Text<'_>>(json).ok().map(|text| text.0)
}

/// Text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The elements of a JSON array, as their JSON text; `None` if it is no array or has more than `most`.
pub(crate) fn elements(array: &str, most: usize) -> Option<alloc::vec::Vec<&str>> {
    struct Elements(usize);

    impl<'de> Visitor<'de> for Elements {
        type Value = alloc::vec::Vec<&'de str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut found = alloc::vec::Vec::new();
            while let Some(element) = seq.next_element::<&RawValue>()? {
                if found.len() >= self.0 {
                    return Err(A::Error::custom("too many"));
                }
                found.push(element.get());
            }
            Ok(found)
        }
    }

    let mut json = serde_json::Deserializer::from_str(array);
    let found = json.deserialize_seq(Elements(most)).ok()?;
    json.end().ok().map(|()| found)
}

impl super::Message {
    /// The members of these names in `params`; none where there are no `params`, or they are an array.
    pub(crate) fn params<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[Option<&str>; N], Unclear> {
        let [params] = members(&self.text, ["params"])?;
        params.filter(|params| params.starts_with('{')).map_or(Ok([None; N]), |params| members(params, names))
    }

    /// The members of these names in `params._meta`.
    pub(crate) fn meta<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[Option<&str>; N], Unclear> {
        let [meta] = self.params(["_meta"])?;
        // Some clients write null for nothing.
        meta.filter(|meta| *meta != "null").map_or(Ok([None; N]), |meta| members(meta, names))
    }

    /// The members of these names in `result`.
    pub(crate) fn result<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<[Option<&str>; N], Unclear> {
        let [result] = members(&self.text, ["result"])?;
        result.map_or(Ok([None; N]), |result| members(result, names))
    }

    /// The code of an error response.
    pub(crate) fn error_code(&self) -> Option<i64> {
        let [error] = members(&self.text, ["error"]).ok()?;
        let [code] = members(error?, ["code"]).ok()?;
        i64::deserialize(&mut serde_json::Deserializer::from_str(code?)).ok()
    }

    /// Whether it is a response that says what went wrong.
    pub(crate) fn is_error(&self) -> bool {
        members(&self.text, ["error"]).is_ok_and(|[error]| error.is_some())
    }

    /// The same message with one more member in `params._meta`. All that was there stays byte for byte; a member of
    /// that name stays what it is.
    pub(crate) fn with_meta(&self, name: &'static str, value: &str) -> Option<super::Message> {
        let text: &str = &self.text;
        let [params] = members(text, ["params"]).ok()?;
        let (at, inserted) = match params {
            None => (text.len() - 1, alloc::format!(r#","params":{{"_meta":{{"{name}":{value}}}}}"#)),
            Some(params) => {
                let [meta] = members(params, ["_meta"]).ok()?;
                let object = meta.unwrap_or(params);
                let comma = if object == "{}" { "" } else { "," };
                let member = match meta {
                    None => alloc::format!(r#""_meta":{{"{name}":{value}}}{comma}"#),
                    Some(meta) => match members(meta, [name]).ok()? {
                        [Some(_)] => return Some(self.clone()),
                        [None] => alloc::format!(r#""{name}":{value}{comma}"#),
                    },
                };
                // Behind the brace that opens it; both are slices of the same text.
                (object.as_ptr() as usize - text.as_ptr() as usize + 1, member)
            }
        };
        let (front, back) = text.split_at_checked(at)?;
        super::Message::parse([front, &inserted, back].concat().as_bytes()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::{Unclear, elements, members, quoted, string};
    use crate::mcp::Message;
    use alloc::string::ToString;

    #[test]
    fn only_what_is_asked_for_is_looked_at_and_nothing_twice() {
        for (object, expected) in [
            (r#"{"a":1,"b":{"a":2}}"#, Ok([Some("1"), None])),
            (r#"{"b":{"a":2},"c":[ 1, 2 ],"a":"x"}"#, Ok([Some("\"x\""), Some("[ 1, 2 ]")])),
            (r#"{"\u0061":1}"#, Ok([Some("1"), None])),
            ("{}", Ok([None, None])),
            (r#"{"b":1,"b":2}"#, Ok([None, None])),
            (r#"{"a":1,"a":1}"#, Err(Unclear)),
            (r#"{"a":1,"\u0061":1}"#, Err(Unclear)),
            ("[]", Err(Unclear)),
            ("1", Err(Unclear)),
        ] {
            assert_eq!(members(object, ["a", "c"]), expected, "{object}");
        }
        assert_eq!(string(r#""a\nb""#).as_deref(), Some("a\nb"));
        assert_eq!(string("1"), None);
        assert_eq!(quoted("a\"\n"), r#""a\"\n""#);
    }

    #[test]
    fn an_array_gives_its_elements_as_they_are() {
        assert_eq!(elements(r#"[{"a":1},[2]]"#, 2), Some([r#"{"a":1}"#, "[2]"].into()));
        assert_eq!(elements("[1,2,3]", 2), None);
        assert_eq!(elements("[]", 2), Some([].into()));
        assert_eq!(elements("{}", 2), None);
        assert_eq!(elements("[1]]", 2), None);
    }

    #[test]
    fn a_member_joins_meta_and_nothing_else_changes() {
        let with = |text: &str| text.parse::<Message>().unwrap().with_meta("k/s", "7").unwrap().to_string();
        for (before, after) in [
            (
                r#"{"jsonrpc":"2.0","method":"m"}"#,
                r#"{"jsonrpc":"2.0","method":"m","params":{"_meta":{"k/s":7}}}"#,
            ),
            (
                r#"{"params":{},"jsonrpc":"2.0","method":"m"}"#,
                r#"{"params":{"_meta":{"k/s":7}},"jsonrpc":"2.0","method":"m"}"#,
            ),
            (
                r#"{"params":{"u":1.0},"jsonrpc":"2.0","method":"m"}"#,
                r#"{"params":{"_meta":{"k/s":7},"u":1.0},"jsonrpc":"2.0","method":"m"}"#,
            ),
            (
                r#"{"params":{"u":1,"_meta":{}},"jsonrpc":"2.0","method":"m"}"#,
                r#"{"params":{"u":1,"_meta":{"k/s":7}},"jsonrpc":"2.0","method":"m"}"#,
            ),
            (
                r#"{"params":{"_meta":{"a":{}}},"jsonrpc":"2.0","method":"m"}"#,
                r#"{"params":{"_meta":{"k/s":7,"a":{}}},"jsonrpc":"2.0","method":"m"}"#,
            ),
            (
                r#"{"params":{"_meta":{"k/s":3}},"jsonrpc":"2.0","method":"m"}"#,
                r#"{"params":{"_meta":{"k/s":3}},"jsonrpc":"2.0","method":"m"}"#,
            ),
        ] {
            assert_eq!(with(before), after);
        }
    }
}
