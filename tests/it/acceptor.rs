//! The accept loop's decisions: how many, and how long to rest.

use std::num::NonZeroUsize;
use std::time::Duration;

use sansio_sse::{AcceptError, AcceptStep, Acceptor, Admission, Tick};

#[test]
fn past_the_limit_connections_are_told_to_be_busy_and_past_that_none_is_taken() {
    let mut acceptor = Acceptor::new(NonZeroUsize::new(3).unwrap());
    for n in 1..=35 {
        assert_eq!(acceptor.poll(at(0)), AcceptStep::Accept, "connection {n}");
        let expected = if n <= 3 { Admission::Serve } else { Admission::Busy };
        assert_eq!(acceptor.handle_accepted(), expected, "connection {n}");
    }
    assert_eq!((acceptor.poll(at(0)), acceptor.open()), (AcceptStep::Full, 35));
    acceptor.handle_closed();
    assert_eq!(acceptor.poll(at(0)), AcceptStep::Accept);
    assert_eq!(acceptor.handle_accepted(), Admission::Busy, "34 are still open");
    for _ in 0..33 {
        acceptor.handle_closed();
    }
    assert_eq!((acceptor.handle_accepted(), acceptor.open()), (Admission::Serve, 3));
}

#[test]
fn each_failure_in_a_row_rests_twice_as_long_up_to_a_second_and_a_connection_forgives() {
    let mut acceptor = Acceptor::new(NonZeroUsize::MIN);
    let mut now = at(0);
    for ms in [50, 100, 200, 400, 800, 1000, 1000, 1000] {
        acceptor.handle_error(now, AcceptError::Exhausted);
        let until = now + Duration::from_millis(ms);
        assert_eq!(acceptor.poll(now), AcceptStep::Wait(until));
        assert_eq!(acceptor.poll(Tick::from_micros(until.as_micros() - 1)), AcceptStep::Wait(until));
        assert_eq!(acceptor.poll(until), AcceptStep::Accept);
        now = until;
    }
    assert_eq!(acceptor.handle_accepted(), Admission::Serve);
    acceptor.handle_error(now, AcceptError::Exhausted);
    assert_eq!(acceptor.poll(now), AcceptStep::Wait(now + Duration::from_millis(50)));
}

#[test]
fn a_connection_that_is_gone_before_it_is_taken_costs_no_rest() {
    let mut acceptor = Acceptor::new(NonZeroUsize::MIN);
    for _ in 0..1000 {
        acceptor.handle_error(at(7), AcceptError::Connection);
    }
    assert_eq!((acceptor.poll(at(7)), acceptor.open()), (AcceptStep::Accept, 0));
    acceptor.handle_error(at(7), AcceptError::Exhausted);
    acceptor.handle_error(at(7), AcceptError::Connection);
    assert_eq!(acceptor.poll(at(7)), AcceptStep::Wait(at(57)), "and neither lengthens nor ends one");
}

#[test]
fn a_clock_that_goes_back_does_not_shorten_the_rest() {
    let mut acceptor = Acceptor::new(NonZeroUsize::MIN);
    acceptor.handle_error(at(1000), AcceptError::Exhausted);
    acceptor.handle_error(at(0), AcceptError::Exhausted);
    assert_eq!(acceptor.poll(at(0)), AcceptStep::Wait(at(1050)));
}

#[test]
fn more_closes_than_connections_do_no_harm_and_the_largest_limit_never_is_full() {
    let mut acceptor = Acceptor::new(NonZeroUsize::MAX);
    acceptor.handle_closed();
    assert_eq!((acceptor.open(), acceptor.poll(at(0))), (0, AcceptStep::Accept));
    assert_eq!(acceptor.handle_accepted(), Admission::Serve);
    assert_eq!(acceptor.poll(at(0)), AcceptStep::Accept);
}

// ---- helpers ----

fn at(ms: u64) -> Tick {
    Tick::ZERO + Duration::from_millis(ms)
}
