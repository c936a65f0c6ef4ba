//! The promises of the schedule in random histories.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Insert(Slot, u32, Millis),
    Remove(Slot),
    Take,
    Looked(u8),
    End,
    Pass(Millis),
    Shift(Millis),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..20u32, 0..3u32, -100_000..100_000i64).prop_map(|(slot, task, at)| Step::Insert(slot, task, at)),
        (0..20u32).prop_map(Step::Remove),
        Just(Step::Take),
        Just(Step::Take),
        (0..5u8).prop_map(Step::Looked),
        Just(Step::End),
        (0..2_000_000i64).prop_map(Step::Pass),
        (0..2 * DAY).prop_map(Step::Pass),
        (-DAY..DAY).prop_map(Step::Shift),
    ]
}

/// Settled or not, not before when, and its end.
type Listed = HashMap<Slot, (bool, Millis, Millis)>;

fn look(how: u8, ends_at: Millis, known: &[Device]) -> Look<'_> {
    match how {
        0 | 1 => Look::Answered {
            settled: how == 0,
            is_closed: false,
            confirm_from: None,
            pushed_at: None,
            ends_at,
            devices: known,
        },
        2 => Look::Answered {
            settled: false,
            is_closed: false,
            confirm_from: None,
            pushed_at: None,
            ends_at,
            devices: &[],
        },
        3 => Look::Refused,
        _ => Look::Failed { at_least: 0 },
    }
}

fn nothing_is_lost(
    schedule: &mut Schedule,
    listed: &Listed,
    taken: &[Slot],
    now: Millis,
) -> Result<(), TestCaseError> {
    // Nothing is lost: all that is open is handed out before it ends, or ends.
    let mut rest: Vec<Slot> = std::iter::from_fn(|| schedule.take(now)).collect();
    rest.extend(taken);
    rest.extend(
        std::iter::from_fn(|| schedule.take_ended(now)).map(|(slot, _)| slot).filter(|s| !listed[s].0),
    );
    rest.sort_unstable();
    let mut open: Vec<Slot> = listed.iter().filter(|(_, kept)| !kept.0).map(|(slot, _)| *slot).collect();
    open.sort_unstable();
    prop_assert_eq!(rest, open);
    Ok(())
}

/// What one history came to, step by step.
fn play(steps: &[Step]) -> Result<Vec<Option<Slot>>, TestCaseError> {
    let mut schedule = Schedule::default();
    let mut listed = Listed::new();
    let mut taken: Vec<Slot> = Vec::new();
    let mut story = Vec::new();
    let mut now = NOW;
    for step in steps {
        match *step {
            Step::Insert(slot, task, at) => {
                taken.retain(|s| *s != slot);
                let pushed_at = now + at;
                let ends_at = pushed_at + 3 * DAY;
                listed.insert(slot, (false, pushed_at, ends_at));
                schedule.insert(slot, Seed { task, ends_at, ..seed(pushed_at) }, now);
            }
            Step::Remove(slot) => {
                prop_assert_eq!(schedule.remove(slot).is_some(), listed.remove(&slot).is_some());
                taken.retain(|s| *s != slot);
            }
            Step::Take => {
                let ready = schedule.next_look_at(now) == Some(now);
                let got = schedule.take(now);
                prop_assert_eq!(ready, got.is_some());
                if let Some(slot) = got {
                    let (settled, pushed_at, ends_at) = listed[&slot];
                    prop_assert!(!settled && !taken.contains(&slot));
                    prop_assert!(pushed_at <= now && now <= ends_at);
                    taken.push(slot);
                }
                story.push(got);
            }
            Step::Looked(how) => {
                if let Some(slot) = taken.pop() {
                    let kept = listed.get_mut(&slot).expect("what is taken is listed");
                    kept.0 = how == 0;
                    let known = [device(how == 0, now - 500, now)];
                    let look = look(how, kept.2, &known);
                    schedule.looked(slot, look, now);
                }
            }
            Step::End => {
                while let Some((slot, _)) = schedule.take_ended(now) {
                    prop_assert!(!taken.contains(&slot));
                    let ended = listed.remove(&slot);
                    prop_assert!(ended.is_some_and(|(_, _, ends_at)| ends_at <= now));
                }
                let over = |(slot, kept): (&Slot, &(bool, Millis, Millis))| {
                    kept.2 + 125 <= now && !taken.contains(slot)
                };
                prop_assert!(!listed.iter().any(over));
            }
            Step::Pass(by) => now += by,
            Step::Shift(by) => {
                now += by;
                schedule.shift(by);
                // A clock set back takes no pair back that may be asked already; ticks round towards the past.
                listed.values_mut().for_each(|kept| kept.1 += by.min(0) - 125);
            }
        }
        let counted: usize = State::ALL.into_iter().map(|state| schedule.count(state)).sum();
        prop_assert_eq!(counted, listed.len());
        let (looked, out) = schedule.looked_of(now);
        prop_assert!(looked <= out && out <= listed.len());
        prop_assert_eq!(schedule.slots().collect::<HashSet<_>>(), listed.keys().copied().collect());
    }
    nothing_is_lost(&mut schedule, &listed, &taken, now + 2 * DAY)?;
    Ok(story)
}

proptest! {
    /// Never the same pair twice at once, never one that left, ended, settled or is not pushed yet; counts agree with
    /// what is there; every pair is handed out or ends; and the same history gives the same decisions.
    #[test]
    fn promises_hold_in_every_history(steps in prop::collection::vec(step(), 1..120)) {
        prop_assert_eq!(play(&steps)?, play(&steps)?);
    }

    /// Bytes that were not written by it never make it panic.
    #[test]
    fn strange_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let read = Learned::from_bytes(&bytes);
        prop_assert!(read.is_err() || bytes[0] == 1);
    }
}
