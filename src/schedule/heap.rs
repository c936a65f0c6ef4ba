//! A heap whose entries know their place, so that one is moved or taken out without a search.

/// Entries below each: as many as a line of the processor's cache holds. A flat heap moves fewer entries, and each
/// that moves touches its pair.
const ARITY: usize = 8;

/// No place: not in the heap.
pub const NOWHERE: u32 = u32::MAX;

/// Where the entries of all heaps have their places.
pub trait Places {
    /// The place of an entry in the heap of that order, or [`NOWHERE`].
    fn place(&self, order: Order, name: u32) -> u32;
    fn set_place(&mut self, order: Order, name: u32, at: u32);
}

/// Which of its two places an entry keeps for a heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By time: when something is to be done.
    Time = 0,
    /// By index: who is asked next.
    Rank = 1,
}

/// The smallest key first.
#[derive(Debug)]
pub struct Heap {
    order: Order,
    /// Key and name.
    entries: Vec<(u32, u32)>,
}

impl Heap {
    pub fn new(order: Order) -> Heap {
        Heap { order, entries: Vec::new() }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The first entry: key and name.
    pub fn peek(&self) -> Option<(u32, u32)> {
        self.entries.first().copied()
    }

    /// The key under which an entry is in, if it is.
    pub fn key(&self, name: u32, book: &impl Places) -> Option<u32> {
        let at = book.place(self.order, name);
        self.entries.get(at as usize).map(|entry| entry.0)
    }

    /// The smallest key behind the first entry.
    pub fn second_key(&self) -> Option<u32> {
        let behind = self.entries.get(1..)?;
        behind.iter().take(ARITY).map(|entry| entry.0).min()
    }

    /// Puts an entry in, or moves it to another key.
    pub fn set(&mut self, key: u32, name: u32, book: &mut impl Places) {
        let at = book.place(self.order, name);
        if at == NOWHERE {
            grow(&mut self.entries);
            self.entries.push((key, name));
            self.up(self.entries.len() - 1, book);
            return;
        }
        let at = at as usize;
        let old = std::mem::replace(&mut self.entries[at].0, key);
        if key < old {
            self.up(at, book);
        } else {
            self.down(at, book);
        }
    }

    /// Takes an entry out, if it is in.
    pub fn remove(&mut self, name: u32, book: &mut impl Places) {
        let at = book.place(self.order, name);
        if at == NOWHERE {
            return;
        }
        book.set_place(self.order, name, NOWHERE);
        let at = at as usize;
        let Some(last) = self.entries.pop() else {
            return;
        };
        if at == self.entries.len() {
            return;
        }
        let old = std::mem::replace(&mut self.entries[at], last);
        if last.0 < old.0 {
            self.up(at, book);
        } else {
            self.down(at, book);
        }
    }

    /// Takes everything out.
    pub fn drain(&mut self, book: &mut impl Places) -> Vec<(u32, u32)> {
        for (_, name) in &self.entries {
            book.set_place(self.order, *name, NOWHERE);
        }
        std::mem::take(&mut self.entries)
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<(u32, u32)>()
    }

    fn up(&mut self, mut at: usize, book: &mut impl Places) {
        let entry = self.entries[at];
        while at > 0 {
            let above = (at - 1) / ARITY;
            if self.entries[above].0 <= entry.0 {
                break;
            }
            self.put(at, self.entries[above], book);
            at = above;
        }
        self.put(at, entry, book);
    }

    fn down(&mut self, mut at: usize, book: &mut impl Places) {
        let entry = self.entries[at];
        loop {
            let first = ARITY * at + 1;
            let behind = (first + ARITY).min(self.entries.len());
            let Some(below) = (first..behind).min_by_key(|below| self.entries[*below].0) else {
                break;
            };
            if self.entries[below].0 >= entry.0 {
                break;
            }
            self.put(at, self.entries[below], book);
            at = below;
        }
        self.put(at, entry, book);
    }

    fn put(&mut self, at: usize, entry: (u32, u32), book: &mut impl Places) {
        self.entries[at] = entry;
        // A heap holds fewer entries than there are names.
        book.set_place(self.order, entry.1, at as u32);
    }
}

/// Makes room by a thirty-second: what a doubling leaves empty is too much at 600,000 pairs.
pub fn grow<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() {
        list.reserve_exact(list.len() / 32 + 4);
    }
}
