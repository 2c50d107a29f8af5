//! JSON by the grammar of RFC 8259, and by nothing else: no range of numbers, no pairs of surrogates. It gives the
//! text back without its insignificant white space.

/// A JSON text, read whole.
#[derive(Debug, Default)]
pub struct Json {
    /// The text without white space between its tokens.
    pub compact: String,
    /// The deepest nesting of objects and arrays.
    pub depth: usize,
    /// Of a top-level object, each key and value as they stand in `compact`.
    pub members: Vec<(String, String)>,
}

/// Reads `bytes` as one JSON text; `None` if it is none.
pub fn read(bytes: &[u8]) -> Option<Json> {
    let mut reader = Reader { rest: std::str::from_utf8(bytes).ok()?, depth: 0, json: Json::default() };
    reader.space();
    reader.value()?;
    reader.space();
    reader.rest.is_empty().then_some(reader.json)
}

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
    json: Json,
}

impl Reader<'_> {
    /// §2: `ws`.
    fn space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Takes `token` if it comes next.
    fn take(&mut self, token: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(token)?;
        self.json.compact.push_str(token);
        Some(())
    }

    /// Takes the characters that `is` allows, and says how many they were.
    fn run(&mut self, is: impl Fn(char) -> bool) -> usize {
        let end = self.rest.find(|c| !is(c)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at(end);
        self.json.compact.push_str(run);
        self.rest = rest;
        run.len()
    }

    /// §3.
    fn value(&mut self) -> Option<()> {
        match self.rest.chars().next()? {
            '{' => self.list("{", "}", Self::member),
            '[' => self.list("[", "]", Self::value),
            '"' => self.string(),
            '-' | '0'..='9' => self.number(),
            _ => self.take("true").or_else(|| self.take("false")).or_else(|| self.take("null")),
        }
    }

    /// §4 and §5: items between brackets, a comma between each two.
    fn list(&mut self, open: &str, close: &str, item: fn(&mut Self) -> Option<()>) -> Option<()> {
        self.take(open)?;
        self.depth += 1;
        self.json.depth = self.json.depth.max(self.depth);
        // Deep nesting must not exhaust the stack of the reader itself.
        if self.depth > 1000 {
            return None;
        }
        self.space();
        if self.take(close).is_none() {
            loop {
                item(self)?;
                self.space();
                if self.take(close).is_some() {
                    break;
                }
                self.take(",")?;
                self.space();
            }
        }
        self.depth -= 1;
        Some(())
    }

    /// §4: `member`.
    fn member(&mut self) -> Option<()> {
        let at = self.json.compact.len();
        self.string()?;
        let key = self.json.compact[at..].to_owned();
        self.space();
        self.take(":")?;
        self.space();
        let at = self.json.compact.len();
        self.value()?;
        if self.depth == 1 {
            self.json.members.push((key, self.json.compact[at..].to_owned()));
        }
        Some(())
    }

    /// §6.
    fn number(&mut self) -> Option<()> {
        let digits = |reader: &mut Self| (reader.run(|c| c.is_ascii_digit()) > 0).then_some(());
        let _ = self.take("-");
        if self.take("0").is_none() {
            digits(self)?;
        }
        if self.take(".").is_some() {
            digits(self)?;
        }
        if self.take("e").or_else(|| self.take("E")).is_some() {
            let _ = self.take("+").or_else(|| self.take("-"));
            digits(self)?;
        }
        Some(())
    }

    /// §7.
    fn string(&mut self) -> Option<()> {
        self.take("\"")?;
        loop {
            self.run(|c| c >= ' ' && c != '"' && c != '\\');
            if self.take("\"").is_some() {
                return Some(());
            }
            self.take("\\")?;
            if self.take("u").is_some() {
                let (digits, rest) = self.rest.split_at_checked(4)?;
                if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                    return None;
                }
                self.json.compact.push_str(digits);
                self.rest = rest;
            } else {
                let escape = self.rest.get(..1).filter(|escape| "\"\\/bfnrt".contains(escape))?.to_owned();
                self.take(&escape)?;
            }
        }
    }
}
