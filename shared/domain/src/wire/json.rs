//! A JSON reader that works in place: it passes one value at a time, allocates nothing and skips nested values.
//!
//! Every event and every Kinesis batch goes through this reader, and with a general-purpose one the reader is most of
//! the cost of both. Code off that path uses `serde_json`.

use std::borrow::Cow;

use thiserror::Error;

/// The text is not JSON (RFC 8259).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("invalid JSON at byte {at}")]
pub struct Malformed {
    /// Offset of the first invalid byte.
    pub at: usize,
}

/// A valid JSON value, as written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number's digits.
    Number(&'a [u8]),
    /// A string.
    String(Text<'a>),
    /// An array, brackets included.
    Array(&'a str),
    /// An object, braces included.
    Object(&'a str),
}

/// The content of a string, as written between its quotes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Text<'a> {
    raw: &'a [u8],
    escaped: bool,
}

impl<'a> Text<'a> {
    /// The content with its escapes resolved; `None` if they contain half a surrogate pair.
    #[must_use]
    pub fn decode(self) -> Option<Cow<'a, [u8]>> {
        if self.escaped { unescape(self.raw).map(Cow::Owned) } else { Some(Cow::Borrowed(self.raw)) }
    }

    /// Whether [`Self::decode`] gives the content.
    #[must_use]
    pub fn is_decodable(self) -> bool {
        // Escapes of surrogates alone can be halves of a pair.
        let may_be_surrogate = |window: &[u8]| matches!(window, [b'u', b'd' | b'D']);
        !self.escaped || !self.raw.windows(2).any(may_be_surrogate) || self.decode().is_some()
    }

    /// The content, without a copy; `None` if it contains an escape.
    #[must_use]
    pub fn plain(self) -> Option<&'a [u8]> {
        (!self.escaped).then_some(self.raw)
    }
}

/// The value of a number's digits, correctly rounded; infinite if it exceeds an `f64`.
#[must_use]
pub fn number(digits: &[u8]) -> f64 {
    short_decimal(digits).unwrap_or_else(|| {
        let text = std::str::from_utf8(digits).expect("a JSON number is ASCII");
        text.parse().expect("a JSON number is a valid Rust float")
    })
}

/// The exact case of W. Clinger's algorithm, which covers nearly every coordinate: a mantissa up to 2⁵³ and a power of
/// ten up to 10²² are exact doubles, so their quotient is rounded once.
fn short_decimal(digits: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, digits) = match digits.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, digits),
    };
    // Mostly 15 digits and a point, which is below 2^53; 16 digits are checked below.
    if digits.len() > 16 {
        return None;
    }
    let mut mantissa: u64 = 0;
    let mut point = digits.len();
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
            b'.' => point = at + 1,
            _ => return None,
        }
    }
    let places = digits.len() - point;
    if mantissa >= 1 << 53 {
        return None;
    }
    // Below 2^53, so exact.
    #[expect(clippy::cast_precision_loss)]
    let value = mantissa as f64 / POWERS.get(places)?;
    Some(if negative { -value } else { value })
}

/// Calls `member` for every member of the object that makes up all of `text`, in order.
///
/// # Errors
/// [`Malformed`] if `text` is not a JSON object; `member` has then been called for the members before the fault.
pub fn members<'a>(text: &'a str, mut member: impl FnMut(Text<'a>, Value<'a>)) -> Result<(), Malformed> {
    let mut scan = Scan::new(text);
    scan.object(|key, scan| {
        member(key, scan.value()?);
        Ok::<(), Malformed>(())
    })?;
    scan.end()
}

/// Calls `item` for every item of the array that makes up all of `text`, in order.
///
/// # Errors
/// [`Malformed`] if `text` is not a JSON array; `item` has then been called for the items before the fault.
pub fn items<'a>(text: &'a str, mut item: impl FnMut(Value<'a>)) -> Result<(), Malformed> {
    items_while(text, |value| {
        item(value);
        true
    })
}

/// Calls `item` for the items of the array that makes up all of `text`, in order, as long as it returns `true`.
///
/// # Errors
/// [`Malformed`] if `text` is not a JSON array up to there.
pub fn items_while<'a>(text: &'a str, mut item: impl FnMut(Value<'a>) -> bool) -> Result<(), Malformed> {
    let mut scan = Scan::new(text);
    let mut goes_on = true;
    let read = scan.array(|scan| {
        goes_on = item(scan.value()?);
        if goes_on { Ok(()) } else { scan.fault() }
    });
    if !goes_on {
        return Ok(());
    }
    read?;
    scan.end()
}

/// A position in a text that is valid JSON up to there.
#[derive(Debug)]
pub struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    /// The position of the first value of `text`.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        let mut scan = Self { text, bytes: text.as_bytes(), at: 0 };
        scan.whitespace();
        scan
    }

    /// Whether an object begins here.
    #[must_use]
    pub fn is_object(&self) -> bool {
        self.peek() == Some(b'{')
    }

    /// Whether an array begins here.
    #[must_use]
    pub fn is_array(&self) -> bool {
        self.peek() == Some(b'[')
    }

    /// Passes an object; `member` must pass each member's value.
    ///
    /// # Errors
    /// [`Malformed`] if no object begins here, or an error of `member`.
    pub fn object<E: From<Malformed>>(
        &mut self,
        mut member: impl FnMut(Text<'a>, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'{')?;
        self.whitespace();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.expect(b'"')?;
            let key = self.string()?;
            self.whitespace();
            self.expect(b':')?;
            self.whitespace();
            member(key, self)?;
            self.whitespace();
            if self.is_end(b'}')? {
                return Ok(());
            }
        }
    }

    /// Passes an array; `item` must pass each item.
    ///
    /// # Errors
    /// [`Malformed`] if no array begins here, or an error of `item`.
    pub fn array<E: From<Malformed>>(
        &mut self,
        mut item: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.expect(b'[')?;
        self.whitespace();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            self.whitespace();
            if self.is_end(b']')? {
                return Ok(());
            }
        }
    }

    fn fault<T>(&self) -> Result<T, Malformed> {
        Err(Malformed { at: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.peek() != Some(byte) {
            return self.fault();
        }
        self.at += 1;
        Ok(())
    }

    /// After a member or item: passes a comma and the whitespace after it, or the closing `bracket`. Returns whether it
    /// was the bracket.
    fn is_end(&mut self, bracket: u8) -> Result<bool, Malformed> {
        let byte = self.peek();
        if byte != Some(b',') && byte != Some(bracket) {
            return self.fault();
        }
        self.at += 1;
        if byte == Some(b',') {
            self.whitespace();
            return Ok(false);
        }
        Ok(true)
    }

    /// Passes the whitespace at the end of the text.
    ///
    /// # Errors
    /// [`Malformed`] if anything else follows.
    pub fn end(&mut self) -> Result<(), Malformed> {
        self.whitespace();
        if self.at == self.bytes.len() { Ok(()) } else { self.fault() }
    }

    /// Passes a value of any type.
    ///
    /// # Errors
    /// [`Malformed`] if no value begins here.
    pub fn value(&mut self) -> Result<Value<'a>, Malformed> {
        match self.peek() {
            Some(b'"') => {
                self.at += 1;
                Ok(Value::String(self.string()?))
            }
            Some(b'-' | b'0'..=b'9') => Ok(Value::Number(self.digits()?)),
            Some(b'n') => self.literal(b"null").map(|()| Value::Null),
            Some(b't') => self.literal(b"true").map(|()| Value::Bool),
            Some(b'f') => self.literal(b"false").map(|()| Value::Bool),
            Some(b'[') => Ok(Value::Array(self.nested()?)),
            Some(b'{') => Ok(Value::Object(self.nested()?)),
            _ => self.fault(),
        }
    }

    /// Passes a value of any type, and returns its text.
    ///
    /// # Errors
    /// [`Malformed`] if no value begins here.
    pub fn raw(&mut self) -> Result<&'a str, Malformed> {
        let start = self.at;
        self.value()?;
        Ok(&self.text[start..self.at])
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), Malformed> {
        if !self.bytes[self.at..].starts_with(literal) {
            return self.fault();
        }
        self.at += literal.len();
        Ok(())
    }

    /// Passes the rest of a string after its opening quote.
    fn string(&mut self) -> Result<Text<'a>, Malformed> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_length(&self.bytes[self.at..]);
            match self.peek() {
                Some(b'"') => {
                    let raw = &self.bytes[start..self.at];
                    self.at += 1;
                    return Ok(Text { raw, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return self.fault(),
            }
        }
    }

    fn escape(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                for _ in 0..4 {
                    self.at += 1;
                    if !self.peek().is_some_and(|b| b.is_ascii_hexdigit()) {
                        return self.fault();
                    }
                }
                self.at += 1;
            }
            _ => return self.fault(),
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.some_digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(&self.bytes[start..self.at])
    }

    fn some_digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start { self.fault() } else { Ok(()) }
    }

    /// Passes an array or object without recursion, so that the depth of the text does not use stack.
    fn nested(&mut self) -> Result<&'a str, Malformed> {
        let start = self.at;
        let mut open = Brackets::default();
        loop {
            // A value, or an opening bracket and, of an object, the first key.
            match self.peek() {
                Some(b'[') => {
                    self.at += 1;
                    open.push(false);
                    self.whitespace();
                    if self.peek() != Some(b']') {
                        continue;
                    }
                }
                Some(b'{') => {
                    self.at += 1;
                    open.push(true);
                    self.whitespace();
                    if self.peek() != Some(b'}') {
                        self.key()?;
                        continue;
                    }
                }
                _ => drop(self.value()?),
            }
            // A value has ended, or a container is empty: pass the brackets that close here.
            loop {
                let Some(is_object) = open.last() else {
                    return Ok(&self.text[start..self.at]);
                };
                self.whitespace();
                if self.is_end(if is_object { b'}' } else { b']' })? {
                    open.pop();
                } else if is_object {
                    self.key()?;
                    break;
                } else {
                    break;
                }
            }
        }
    }

    fn key(&mut self) -> Result<(), Malformed> {
        self.expect(b'"')?;
        self.string()?;
        self.whitespace();
        self.expect(b':')?;
        self.whitespace();
        Ok(())
    }
}

/// The open brackets, one bit each: 1 is an object.
#[derive(Default)]
struct Brackets {
    full: Vec<u64>,
    word: u64,
    depth: u32,
}

impl Brackets {
    fn push(&mut self, is_object: bool) {
        if self.depth == 64 {
            self.full.push(self.word);
            self.depth = 0;
        }
        self.word = self.word << 1 | u64::from(is_object);
        self.depth += 1;
    }

    fn last(&self) -> Option<bool> {
        (self.depth > 0).then_some(self.word & 1 == 1)
    }

    fn pop(&mut self) {
        self.word >>= 1;
        self.depth -= 1;
        if self.depth == 0
            && let Some(word) = self.full.pop()
        {
            self.word = word;
            self.depth = 64;
        }
    }
}

/// The number of bytes before the first quote, backslash or control character: tested eight at a time, by the zero-byte
/// test of "Bit Twiddling Hacks" (S. Anderson).
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..at + 8) {
        let word = u64::from_le_bytes(chunk.try_into().expect("eight bytes"));
        let zero = |x: u64| x.wrapping_sub(ONES) & !x;
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (zero(word ^ (ONES * 0x22)) | zero(word ^ (ONES * 0x5c)) | control) & HIGH;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|b| **b >= 0x20 && **b != b'"' && **b != b'\\').count()
}

fn unescape(raw: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(raw.len());
    let mut at = 0;
    while at < raw.len() {
        if raw[at] != b'\\' {
            text.push(raw[at]);
            at += 1;
            continue;
        }
        let short = match raw[at + 1] {
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut code = hex(raw, at + 2)?;
                at += 6;
                if (0xd800..0xdc00).contains(&code) && raw.get(at..at + 2) == Some(b"\\u") {
                    let low = hex(raw, at + 2)?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
                    code = 0x1_0000 + ((code - 0xd800) << 10) + low;
                    at += 6;
                }
                let character = char::from_u32(code)?;
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                continue;
            }
            itself => itself,
        };
        text.push(short);
        at += 2;
    }
    Some(text)
}

fn hex(raw: &[u8], at: usize) -> Option<u32> {
    let digits = raw.get(at..at + 4)?;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests;
