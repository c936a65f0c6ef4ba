//! The ledger against the reference, step by step under random operations.

use proptest::prelude::*;

use super::play::{APPS, Deed, Play, USERS};

fn deed() -> impl Strategy<Value = Deed> {
    let pair = (0..APPS, 0..USERS);
    prop_oneof![
        4 => (pair.clone(), 0..3_usize)
            .prop_map(|((app, user), labels)| Deed::Enrol { app, user, labels }),
        10 => (pair.clone(), any::<u64>(), 0..40_i64)
            .prop_map(|((app, user), seed, after)| Deed::Record { app, user, seed, after }),
        4 => (pair.clone(), 0..1500_i64).prop_map(|((app, user), after)| Deed::Draw { app, user, after }),
        2 => Just(Deed::Again),
        2 => (pair, any::<bool>()).prop_map(|((app, user), expired)| Deed::Leave { app, user, expired }),
        1 => (0..APPS).prop_map(|app| Deed::Dismiss { app }),
        1 => (0..APPS).prop_map(|app| Deed::Learn { app }),
        2 => Just(Deed::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whatever_is_done_the_ledger_shows_what_the_reference_says(
        deeds in proptest::collection::vec(deed(), 1..60),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut play = Play::begin(folder.path());
            for deed in &deeds {
                play.act(deed).await;
                play.assert_same();
            }
            play.act(&Deed::Restart).await;
            play.assert_same();
            play.end();
        });
    }
}
