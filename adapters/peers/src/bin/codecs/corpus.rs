//! What is encoded and decoded: five kinds of streams, the same in every run.

/// About so many bytes each: within a second-level cache, so that the codec is measured and not the memory.
const BYTES: usize = 256 << 10;

/// One kind of stream.
pub struct Corpus {
    pub name: &'static str,
    /// The data of its events.
    pub texts: Vec<&'static str>,
    /// The stream.
    pub wire: &'static [u8],
}

/// All of them.
pub fn all() -> Vec<Corpus> {
    let mut random = Random(0x5EED);
    vec![
        corpus("tokens, 4–40 B", "", &mut |_| token(&mut random)),
        corpus("JSON-RPC, ~300 B", "", &mut |n| json_rpc(n)),
        corpus("64 KiB events", "", &mut |n| big(n, 64 << 10)),
        corpus("many lines", "", &mut |n| lines(n)),
        corpus("with comments", ": keep-alive\n\n", &mut {
            let mut random = Random(0xC0FFEE);
            move |_| token(&mut random)
        }),
    ]
}

/// A stream of tokens alone, so many bytes long.
pub fn tokens(bytes: usize) -> &'static [u8] {
    let mut random = Random(7);
    wire("", &mut |_| token(&mut random), bytes).1
}

/// A stream of events of this size; at least one.
pub fn events_of(size: usize, bytes: usize) -> &'static [u8] {
    wire("", &mut |n| big(n, size), bytes).1
}

fn corpus(name: &'static str, before: &str, text: &mut dyn FnMut(usize) -> String) -> Corpus {
    let (texts, wire) = wire(before, text, BYTES);
    Corpus { name, texts, wire }
}

fn wire(
    before: &str,
    text: &mut dyn FnMut(usize) -> String,
    bytes: usize,
) -> (Vec<&'static str>, &'static [u8]) {
    let mut wire = String::new();
    let mut texts = Vec::new();
    while wire.len() < bytes {
        let text: &'static str = text(texts.len()).leak();
        wire += before;
        for line in text.split('\n') {
            wire += "data: ";
            wire += line;
            wire += "\n";
        }
        wire += "\n";
        texts.push(text);
    }
    (texts, wire.leak().as_bytes())
}

/// What a language model's server sends.
fn token(random: &mut Random) -> String {
    let len = 4 + random.below(37);
    (0..len).map(|_| char::from(b" abcdefghijklmnopqrstuvwxyz,."[random.below(29)])).collect()
}

fn json_rpc(n: usize) -> String {
    let text = "The quick brown fox jumps over the lazy dog while the band plays on and on; ";
    format!(
        r#"{{"jsonrpc":"2.0","id":{n},"result":{{"content":[{{"type":"text","text":"{}{}"}}],"isError":false}}}}"#,
        text.repeat(2),
        &text[..40 + n % 37]
    )
}

fn big(n: usize, size: usize) -> String {
    let mut text = format!("{n}:");
    while text.len() < size {
        text += r#"{"sku":"0123-4567","price":12.50,"tags":["a","b"],"stock":true},"#;
    }
    text.truncate(size);
    text
}

/// Twenty lines of up to sixty bytes, as a program's log.
fn lines(n: usize) -> String {
    let text = "12:30:01.250 worker: took the job and did what it says, in 250 us";
    (0..20).map(|line| &text[..8 + (n * 7 + line * 13) % 53]).collect::<Vec<_>>().join("\n")
}

struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % n
    }
}
