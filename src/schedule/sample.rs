//! What is kept of the random sample: who may enter it, and which polls it wants.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::clock::Tick;
use super::told::Slot;

/// Who is in the sample, and who is next.
#[derive(Debug, Default)]
pub struct Sample {
    /// Pairs that may enter from that tick on.
    pub young: BinaryHeap<Reverse<(Tick, Slot)>>,
    /// Pairs that may enter, in the random order; some are gone or have entered since.
    pub outside: BinaryHeap<Reverse<(u32, Slot)>>,
    /// Polls that the sample wants. The latest goes first: where there are too many, fresh pushes are told of in time.
    pub wanted: Vec<Slot>,
    /// Pairs of which the ledger is to be told that they entered, or that they are to be closed without a poll.
    pub told: Vec<Slot>,
    /// Pairs in it.
    pub pairs: usize,
    pub credit: f64,
    /// The latest poll, 0 if no first poll waited then, and the mean wait between two, seconds.
    pub polled: Tick,
    pub pace: f64,
    pub is_pressed: bool,
}

impl Sample {
    pub fn bytes(&self) -> usize {
        self.young.capacity() * size_of::<(Tick, Slot)>()
            + self.outside.capacity() * size_of::<(u32, Slot)>()
            + (self.wanted.capacity() + self.told.capacity()) * size_of::<Slot>()
    }
}

/// Makes room by a thirty-second, as [`super::heap::grow`] does.
pub fn push(heap: &mut BinaryHeap<Reverse<(u32, Slot)>>, entry: (u32, Slot)) {
    if heap.len() == heap.capacity() {
        heap.reserve_exact(heap.len() / 32 + 4);
    }
    heap.push(Reverse(entry));
}
