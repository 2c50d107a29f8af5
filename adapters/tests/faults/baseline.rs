//! What a process has: descriptors, memory, processor time; and that a test gives it all back.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::support::{Mcp, TestRuntime, TestServer, echo_service, until};

/// Makes of each generic test one for every runtime, alone in the process.
macro_rules! alone_on_every_runtime {
    ($($name:ident),+ $(,)?) => {
        #[cfg(feature = "smol")]
        mod smol {
            $(#[test]
            fn $name() {
                type R = sansio_sse_adapters::SmolRuntime;
                crate::baseline::alone::<R>(super::$name::<R>);
            })+
        }
        #[cfg(feature = "tokio")]
        mod tokio {
            $(#[test]
            fn $name() {
                type R = sansio_sse_adapters::TokioRuntime;
                crate::baseline::alone::<R>(super::$name::<R>);
            })+
        }
    };
}
pub(crate) use alone_on_every_runtime;

/// Held by the one test that runs.
static TURN: Mutex<()> = Mutex::new(());

/// Memory that the allocator may keep for the next test.
const KEPT: usize = 16 << 20;

/// Runs of a test that leaves more.
const RUNS: usize = 5;

/// Runs a test alone in the process. What it has opened and allocated is gone afterwards.
pub(crate) fn alone<R: TestRuntime>(test: impl Fn()) {
    // A test that has failed says so itself.
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    // What a runtime opens once and keeps is there before anything is counted.
    Mcp::open(TestServer::start::<R>(echo_service()).addr).ping(1);
    settled();
    let open = descriptors();
    let run = || {
        let before = resident();
        test();
        until("the descriptors to be closed", || descriptors() == open);
        resident().saturating_sub(before)
    };
    let mut kept = vec![run()];
    // What an allocator keeps, for each of the threads that it has met, serves later runs too; what is lost is lost by
    // each of them.
    while kept.iter().all(|kept| *kept > KEPT) {
        assert!(kept.len() < RUNS, "bytes of memory that are left by each of some runs: {kept:?}");
        kept.push(run());
    }
}

/// Waits until no descriptor is being closed any more: a runtime that has ended closes its own a little later.
fn settled() {
    let mut last = (0, 0);
    until("the descriptors to settle", || {
        let now = descriptors();
        last = if now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        std::thread::sleep(Duration::from_millis(1));
        last.1 == 20
    });
}

/// Descriptors that are open.
pub(crate) fn descriptors() -> usize {
    // One of them is the directory's that is being read.
    std::fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Bytes of memory that are in use.
pub(crate) fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}

/// Processor time that was used, by all threads.
pub(crate) fn cpu() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

/// How many pairs of sockets can be open at once beside all else, up to `most`: as far as the limit of descriptors
/// can be raised.
pub(crate) fn pairs(most: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    let wanted = u64::try_from(most * 2 + 200).unwrap();
    let raised = limit.maximum.unwrap_or(u64::MAX).min(wanted).max(limit.current.unwrap_or(u64::MAX));
    setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }).unwrap();
    most.min(usize::try_from(raised.saturating_sub(200) / 2).unwrap())
}

/// No descriptor can be opened until this is dropped; those that are open stay so.
pub(crate) struct Exhausted(Rlimit);

impl Exhausted {
    pub(crate) fn now() -> Exhausted {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: Some(0), ..limit }).unwrap();
        Exhausted(limit)
    }
}

impl Drop for Exhausted {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).unwrap();
    }
}
