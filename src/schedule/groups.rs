//! What first and later looks say of one task beside all others, and of pushes of one time beside those of others.

use std::collections::HashMap;

use super::told::Millis;

/// Expected failures that hold the factor of a task's first looks at 1.
const INERTIA: f32 = 1.0;
/// The same for a wait under a task and for a time of pushes, each of which is told by fewer looks.
const FINE_INERTIA: f32 = 3.0;
/// A factor is never below this: a task without a failure so far may still get one.
const FACTOR_MIN: f32 = 0.5;
/// How long pushes are taken together.
const PUSH_SPAN: Millis = 300_000;
/// How many such spans are told apart: what is older counts as ever.
const PUSH_SPANS: usize = 64;
/// How much more the first look of a big task is worth for what it says of the others.
const CURIOSITY: f32 = 6.0;
/// Members at which half of that counts.
const CURIOUS_MEMBERS: f32 = 20.0;
/// So many first polls of a task may fail in a row by chance: where a fifth of the pairs fails, one row in 25 is longer.
const CHANCE_FAILURES: u32 = 2;

/// Failures seen, and how many the pool expected.
#[derive(Clone, Copy, Debug, Default)]
struct Ratio {
    seen: f32,
    expected: f32,
}

impl Ratio {
    fn add(&mut self, (seen, expected): (f64, f64)) {
        self.seen += seen as f32;
        self.expected += expected as f32;
    }

    fn factor(self, inertia: f32) -> f32 {
        ((self.seen + inertia) / (self.expected + inertia)).max(FACTOR_MIN)
    }
}

/// One task.
#[derive(Debug, Default)]
struct Task {
    /// Pairs listed.
    members: u32,
    /// Pairs looked at.
    looks: u32,
    /// First polls that failed since one was answered.
    failed: u32,
    first: Ratio,
    /// By class: platform and wait.
    waits: Vec<(u16, Ratio)>,
}

/// All tasks and times.
#[derive(Debug)]
pub struct Groups {
    tasks: HashMap<u32, Task>,
    /// By the span of the push, as a ring: the number of the span, and its ratio.
    pushes: [(i64, Ratio); PUSH_SPANS],
}

impl Default for Groups {
    fn default() -> Groups {
        Groups { tasks: HashMap::new(), pushes: [(i64::MIN, Ratio::default()); PUSH_SPANS] }
    }
}

impl Groups {
    /// A pair of that task is listed.
    pub fn enter(&mut self, task: u32) {
        self.tasks.entry(task).or_default().members += 1;
    }

    /// A pair of that task left.
    pub fn leave(&mut self, task: u32) {
        if let Some(known) = self.tasks.get_mut(&task) {
            known.members -= 1;
            if known.members == 0 {
                self.tasks.remove(&task);
            }
        }
    }

    /// A poll of a pair of that task failed that was never answered.
    pub fn first_failed(&mut self, task: u32) {
        if let Some(known) = self.tasks.get_mut(&task) {
            known.failed = known.failed.saturating_add(1);
        }
    }

    /// A first look: failures seen and expected. True if first polls of this task had failed before.
    pub fn first_look(&mut self, task: u32, pushed_at: Millis, ratio: (f64, f64)) -> bool {
        let mut answers_again = false;
        if let Some(known) = self.tasks.get_mut(&task) {
            known.looks += 1;
            known.first.add(ratio);
            answers_again = std::mem::take(&mut known.failed) > 0;
        }
        let span = pushed_at.div_euclid(PUSH_SPAN);
        let kept = &mut self.pushes[span.rem_euclid(PUSH_SPANS as i64) as usize];
        if kept.0 < span {
            *kept = (span, Ratio::default());
        }
        if kept.0 == span {
            kept.1.add(ratio);
        }
        answers_again
    }

    /// What any look told of a wait under a task.
    pub fn look(&mut self, task: u32, class: u16, ratio: (f64, f64)) {
        let Some(known) = self.tasks.get_mut(&task).filter(|known| known.members > 1) else {
            return;
        };
        match known.waits.iter_mut().find(|(of, _)| *of == class) {
            Some((_, kept)) => kept.add(ratio),
            None => {
                let mut kept = Ratio::default();
                kept.add(ratio);
                known.waits.push((class, kept));
            }
        }
    }

    /// How many times as many failures as elsewhere this wait has under this task.
    pub fn factor(&self, task: u32, class: u16) -> f64 {
        let known = self.tasks.get(&task).map(|known| known.waits.iter());
        let known = known.and_then(|mut known| known.find(|(of, _)| *of == class));
        known.map_or(1.0, |(_, ratio)| f64::from(ratio.factor(FINE_INERTIA)))
    }

    /// The same for pairs of the task that were never looked at, and how many times as much a look is worth: more for
    /// what it says of the others, less where the first polls of the task fail.
    pub fn first_factor(&self, task: u32, pushed_at: Millis) -> (f64, f64) {
        let span = pushed_at.div_euclid(PUSH_SPAN);
        let kept = self.pushes[span.rem_euclid(PUSH_SPANS as i64) as usize];
        let time = if kept.0 == span { kept.1.factor(2.0 * FINE_INERTIA) } else { 1.0 };
        let Some(known) = self.tasks.get(&task) else {
            return (f64::from(time), 1.0);
        };
        // The time speaks where the task has not spoken yet.
        let factor = (known.first.seen + INERTIA * time) / (known.first.expected + INERTIA);
        let unseen = known.members.saturating_sub(known.looks) as f32;
        let curious = CURIOSITY * unseen / (unseen + CURIOUS_MEMBERS) / (1.0 + known.looks as f32);
        let doubted = known.failed.saturating_sub(CHANCE_FAILURES);
        (f64::from(factor.max(FACTOR_MIN)), f64::from((1.0 + curious) / (1.0 + doubted as f32)))
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let lists: usize =
            self.tasks.values().map(|task| task.waits.capacity() * size_of::<(u16, Ratio)>()).sum();
        lists + self.tasks.capacity() * 8 / 7 * (size_of::<(u32, Task)>() + 1) + size_of::<Self>()
    }
}
