//! The last word on a world bites: what was heard of another one, too little of it, or twice, is noticed.

use alloc::string::ToString;

use super::*;
use crate::SourceConfig;
use crate::sim::ClientConfig;

/// A world of this number, so far into its trouble.
fn world(seed: u64, eighths: u32) -> Swarm {
    let mut swarm = Swarm::new(seed);
    swarm.world.run_until(Tick::ZERO + swarm.length * eighths / 8).unwrap();
    swarm
}

/// Puts another world's server behind the clients of this one.
fn swap_servers(one: &mut Swarm, other: &mut Swarm) {
    one.world.tell_servers(|one, _| other.world.tell_servers(|other, _| core::mem::swap(one, other)));
}

/// The clients of a world's beginning in front of its server of later, and the other way round.
fn with_servers_swapped(seed: u64) -> (Swarm, Swarm) {
    let (mut early, mut late) = (world(seed, 3), world(seed, 7));
    swap_servers(&mut late, &mut early);
    (early, late)
}

/// What is noticed, over some worlds; by its words without names and numbers.
fn notices(
    seeds: core::ops::Range<u64>,
    mix: impl Fn(u64) -> Swarm,
    peace: bool,
) -> BTreeMap<Law, Vec<String>> {
    let mut found: BTreeMap<Law, Vec<String>> = BTreeMap::new();
    for seed in seeds {
        if let Err(Violation { law, what, .. }) = mix(seed).all_is_heard(peace) {
            found.entry(law).or_default().push(what);
        }
    }
    found
}

fn has(found: &BTreeMap<Law, Vec<String>>, law: Law, words: &[&str]) {
    for words in words {
        let said = found.get(&law).is_some_and(|all| all.iter().any(|what| what.contains(words)));
        assert!(said, "{law}: {words}: {found:#?}");
    }
}

#[test]
fn i12_what_was_heard_in_another_world_is_noticed() {
    let mix = |seed| {
        let (mut one, mut other) = (world(seed, 6), world(seed + 1, 6));
        swap_servers(&mut one, &mut other);
        one
    };
    let found = notices(0..60, mix, false);
    assert!(found.keys().all(|law| *law == Law::I12), "{found:#?}");
    has(&found, Law::I12, &["but nothing was said", "came behind number", "was heard, and never said"]);
    assert!(found[&Law::I12].len() > 40, "{found:#?}");
}

#[test]
fn i12_what_is_heard_before_it_is_said_is_noticed() {
    let found = notices(0..100, |seed| with_servers_swapped(seed).1, false);
    assert!(found.keys().all(|law| *law == Law::I12), "{found:#?}");
    has(&found, Law::I12, &["but nothing was said", "came behind number", "was heard:"]);
}

#[test]
fn i2_what_was_said_and_not_heard_in_peace_is_noticed() {
    let mix = |seed| with_servers_swapped(seed).0;
    assert_eq!(notices(0..100, mix, false), BTreeMap::new(), "in trouble, it may be on the way");
    let found = notices(0..100, mix, true);
    assert!(found.keys().all(|law| *law == Law::I2), "{found:#?}");
    has(&found, Law::I2, &["were heard in peace", "own stream: ", "all is said, and"]);
}

#[test]
fn i12_a_session_that_two_clients_hear_is_noticed() {
    let mix = |seed| {
        let (mut one, mut same) = (world(seed, 4), world(seed, 4));
        let config = ClientConfig { comes: Tick::from_micros(u64::MAX), ..ClientConfig::default() };
        let number = one
            .world
            .add_client(Person::Client(Box::new(Client::new(config, Arc::<SourceConfig>::default()))));
        let mut at = 0;
        one.world.tell_clients(|second, _| {
            let mut first = true;
            same.world.tell_clients(|person, _| {
                if at == number && core::mem::take(&mut first) {
                    core::mem::swap(second, person);
                }
            });
            at += 1;
        });
        one
    };
    let found = notices(0..20, mix, false);
    assert!(found.keys().all(|law| *law == Law::I12), "{found:#?}");
    has(&found, Law::I12, &["was heard by more than one"]);
}

/// Its trace says how to come back to the world; and the log is there, where no stream has a trace of its own.
#[test]
fn i2_a_message_that_reached_the_application_twice_is_a_violation_of_its_world() {
    let mut swarm = Swarm::new(3);
    swarm.world.tell_servers(|server, _| {
        server.app.got.insert("a message".to_string(), 2);
    });
    let report = swarm.run(true);
    let found = report.violation.unwrap();
    assert_eq!((found.law, &*found.what), (Law::I2, "a message reached the application 2 times"));
    assert!(found.trace.contains(" connection 0: server wrote "), "{found}");
    let again = "\n// the whole world again:\nassert_eq!(sansio_sse::sim::run(3).violation, None);";
    assert!(found.trace.ends_with(again), "{found}");
    assert!(report.connections > 0 && report.time > Duration::ZERO);
}

#[test]
fn i10_an_honest_client_that_is_refused_in_peace_is_noticed() {
    let mut refused = 0;
    for seed in 0..20 {
        let mut swarm = Swarm::new(seed);
        // More than the server takes, which no honest client of these worlds says.
        swarm.world.tell_clients(|person, _| {
            if let Person::Client(client) = person {
                client.say(request(1_700, "say", &format!("[\"{}\"]", "p".repeat(3_000))));
            }
        });
        if let Some(found) = swarm.run(false).violation {
            assert_eq!((found.law, &*found.what), (Law::I10, "an honest request was refused"));
            refused += 1;
        }
    }
    assert!(refused > 5, "{refused}");
}
