//! The simulated world, seed by seed. `cargo xtask bench sim` plays many more.

use engine::simulation::World;

/// Seeds played here.
const SEEDS: u64 = 200;
/// Actions of each story.
const ACTIONS: usize = 400;

#[tokio::test]
async fn the_invariants_hold_in_every_world() {
    let mut sum = engine::simulation::Told::default();
    for seed in 0..SEEDS {
        match World::run(seed, ACTIONS).await {
            Ok(told) => {
                sum.crashes += told.crashes;
                sum.campaigns += told.campaigns;
                sum.direct += told.direct;
                sum.accepted += told.accepted;
                sum.unknown += told.unknown;
                sum.withheld += told.withheld;
                sum.refusals += told.refusals;
                sum.deleted += told.deleted;
            }
            Err(violation) => panic!("seed {seed}: {violation}"),
        }
    }
    // A world in which nothing happens proves nothing.
    assert!(sum.crashes > SEEDS && sum.campaigns > SEEDS && sum.accepted > SEEDS, "{sum:?}");
    assert!(sum.direct > SEEDS, "{sum:?}");
    assert!(sum.unknown > 0 && sum.withheld > SEEDS, "{sum:?}");
    assert!(sum.refusals > SEEDS && sum.deleted > SEEDS / 2, "{sum:?}");
}

#[tokio::test]
async fn a_seed_tells_the_same_story_each_time() {
    for seed in 0..5 {
        let told = World::run(seed, ACTIONS).await.unwrap();
        assert_eq!(World::run(seed, ACTIONS).await.unwrap(), told, "seed {seed}");
    }
}
