//! Many short texts in one piece of memory.

/// Where a text lies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TextSpan {
    at: u32,
    len: u16,
}

/// Texts, each at most 64 KiB, together at most 4 GiB.
#[derive(Debug, Default)]
pub(super) struct Arena {
    bytes: Vec<u8>,
    /// Bytes of texts that were dropped.
    waste: usize,
}

/// Waste below this is left alone.
const WASTE_LEFT_BYTES: usize = 1 << 16;

impl Arena {
    /// Keeps a text; `None` if it is too long or there is no room for it.
    pub fn keep(&mut self, text: &str) -> Option<TextSpan> {
        let span =
            TextSpan { at: u32::try_from(self.bytes.len()).ok()?, len: u16::try_from(text.len()).ok()? };
        if self.bytes.capacity() - self.bytes.len() < text.len() {
            // A doubling would leave too much empty.
            self.bytes.reserve_exact(self.bytes.len() / 32 + text.len());
        }
        self.bytes.extend_from_slice(text.as_bytes());
        Some(span)
    }

    /// Makes room for texts of so many bytes together.
    pub fn reserve(&mut self, bytes: usize) {
        self.bytes.reserve_exact(bytes);
    }

    /// True if that text lies at a place that [`Arena::keep`] gave.
    pub fn is(&self, span: TextSpan, text: &str) -> bool {
        let bytes = self.bytes.get(span.at as usize..span.at as usize + usize::from(span.len));
        bytes == Some(text.as_bytes())
    }

    /// The text at a place that [`Arena::keep`] gave.
    pub fn get(&self, span: TextSpan) -> &str {
        let bytes = self.bytes.get(span.at as usize..span.at as usize + usize::from(span.len));
        bytes.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    /// A text is no longer needed.
    pub fn drop_text(&mut self, span: TextSpan) {
        self.waste += usize::from(span.len);
    }

    /// True if moving the texts together is worth it.
    pub fn is_wasteful(&self) -> bool {
        self.waste > WASTE_LEFT_BYTES && self.waste > self.bytes.len() / 2
    }

    /// Moves the texts still needed together, and tells each owner its new place.
    pub fn compact<'a>(&mut self, spans: impl Iterator<Item = &'a mut TextSpan>) {
        let mut bytes = Vec::with_capacity(self.bytes.len() - self.waste);
        for span in spans {
            let text = self.get(*span).as_bytes();
            span.at = u32::try_from(bytes.len()).expect("fewer texts need less room");
            bytes.extend_from_slice(text);
        }
        self.bytes = bytes;
        self.waste = 0;
    }
}
