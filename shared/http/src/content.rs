//! The content of a response.

use std::borrow::Cow;
use std::sync::Arc;

/// The content of a response: bytes of its own, and after them bytes that it shares with other responses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    own: Vec<u8>,
    shared: Option<Arc<Vec<u8>>>,
}

impl Content {
    /// Content that begins with `own` and ends with `shared`.
    #[must_use]
    pub fn ending_with(own: Vec<u8>, shared: Arc<Vec<u8>>) -> Self {
        Self { own, shared: Some(shared) }
    }

    /// Its length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.own.len() + self.shared.as_ref().map_or(0, |shared| shared.len())
    }

    /// Whether it has no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all bytes.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The bytes in their order, in two parts.
    #[must_use]
    pub fn parts(&self) -> [&[u8]; 2] {
        [&self.own, self.shared.as_ref().map_or(&[], |shared| shared.as_slice())]
    }

    /// The bytes in one piece.
    #[must_use]
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        match self.parts() {
            [own, []] => own.into(),
            [[], shared] => shared.into(),
            parts => parts.concat().into(),
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(own: Vec<u8>) -> Self {
        Self { own, shared: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_parts_are_one_content() {
        let mut content = Content::ending_with(b"ab".to_vec(), Arc::new(b"cd".to_vec()));
        assert_eq!((content.len(), &*content.bytes()), (4, &b"abcd"[..]));
        content.clear();
        assert!(content.is_empty());
        assert_eq!(*Content::ending_with(Vec::new(), Arc::new(b"cd".to_vec())).bytes(), *b"cd");
    }
}
