//! Numbers for values that many pairs share: each value is kept once, and its number is free again after its last use.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// Values by number, with how often each is used.
#[derive(Debug)]
pub(super) struct Interner<T> {
    values: Vec<Option<(T, u32)>>,
    free: Vec<u32>,
    numbers: HashMap<T, u32>,
}

impl<T> Default for Interner<T> {
    fn default() -> Interner<T> {
        Interner { values: Vec::new(), free: Vec::new(), numbers: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Interner<T> {
    /// The number of `value`, used once more.
    pub fn hold(&mut self, value: &T) -> u32 {
        if let Some(number) = self.numbers.get(value).copied() {
            self.hold_again(number);
            return number;
        }
        let kept = Some((value.clone(), 1));
        let number = match self.free.pop() {
            Some(number) => {
                self.values[number as usize] = kept;
                number
            }
            None => {
                self.values.push(kept);
                u32::try_from(self.values.len() - 1)
                    .expect("values are not more than pairs, which are far below 2^32")
            }
        };
        self.numbers.insert(value.clone(), number);
        number
    }

    /// A number in use is used once more.
    pub fn hold_again(&mut self, number: u32) {
        if let Some((_, uses)) = &mut self.values[number as usize] {
            *uses += 1;
        }
    }

    /// A number is used once less.
    pub fn release(&mut self, number: u32) {
        let place = &mut self.values[number as usize];
        if let Some((_, uses)) = place
            && *uses > 1
        {
            *uses -= 1;
        } else if let Some((value, _)) = place.take() {
            self.numbers.remove(&value);
            self.free.push(number);
        }
    }

    /// The number of a value in use.
    pub fn number<Q: Eq + Hash + ?Sized>(&self, value: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
    {
        self.numbers.get(value).copied()
    }

    /// The value of a number in use.
    pub fn get(&self, number: u32) -> &T {
        let value = self.values[number as usize].as_ref();
        &value.expect("a number is given back only after its last use").0
    }

    /// How many values are kept.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.numbers.len()
    }
}
