//! A server under test as a process: where it runs, what it costs, and its end.

use std::{
    ffi::OsString,
    fs,
    net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use crate::load::{Failure, Target, ask, request};

/// A command, but for the port.
#[derive(Clone, Debug)]
pub struct Program {
    /// The file to run.
    pub file: PathBuf,
    /// Arguments before the port.
    pub before: Vec<OsString>,
    /// Arguments behind it.
    pub after: Vec<OsString>,
}

/// A running server; dropping it ends the process.
pub struct Process {
    child: Child,
    /// Where it listens, and how its clients wait.
    pub target: Target,
}

impl Process {
    /// Starts a server on `cores`, and waits until it accepts connections.
    pub fn start(program: &Program, cores: &Cores) -> Result<Self, Failure> {
        let port = free_port().map_err(|error| format!("no port: {error}"))?;
        let mut command = Command::new(&program.file);
        command.args(&program.before).arg(port.to_string()).args(&program.after);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = cores.within_server(|| command.spawn());
        let child = child.map_err(|error| format!("{} does not start: {error}", program.file.display()))?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        let mut process = Self { child, target: Target { address, awake: cores.apart } };
        let started = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Ok(Some(status)) = process.child.try_wait() {
                return Err(format!("the server ended: {status}"));
            }
            if started.elapsed() > Duration::from_secs(10) {
                return Err("the server does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(process)
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The processor time of all its threads so far.
    pub fn cpu(&self) -> Result<Duration, Failure> {
        let read = || {
            let mut nanos = 0;
            for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
                let line = fs::read_to_string(task?.path().join("schedstat"))?;
                nanos += line.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
            }
            std::io::Result::Ok(Duration::from_nanos(nanos))
        };
        read().map_err(|error| format!("the server is gone: {error}"))
    }

    /// The same, once the server has had a moment to put things away.
    pub fn settled_cpu(&self) -> Result<Duration, Failure> {
        std::thread::sleep(Duration::from_millis(50));
        self.cpu()
    }

    /// The bytes of its own memory: anonymous pages that are resident.
    pub fn memory(&self) -> Result<u64, Failure> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()));
        let rollup = rollup.map_err(|error| format!("the server is gone: {error}"))?;
        kilobytes(&rollup, "Anonymous:").ok_or_else(|| "no Anonymous line".into())
    }

    /// How many event streams the server says are open.
    pub fn sessions(&self) -> Result<u64, Failure> {
        let answer = ask(self.target.address, &request(self.target.address, "GET", "/stats", ""))?;
        let count = answer.split("\"sessions\":").nth(1).map(|rest| rest.trim_start());
        let count = count.and_then(|rest| rest.split(|end: char| !end.is_ascii_digit()).next()?.parse().ok());
        count.ok_or_else(|| format!("/stats has no sessions: {answer:?}"))
    }

    /// Waits until the server says that `count` event streams are open.
    pub fn wait_for_sessions(&self, count: u64) -> Result<(), Failure> {
        let started = Instant::now();
        loop {
            let sessions = self.sessions()?;
            if sessions == count {
                return Ok(());
            }
            if started.elapsed() > Duration::from_secs(5) {
                return Err(format!("{sessions} sessions instead of {count}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill(); // It may be gone already.
        let _ = self.child.wait();
    }
}

/// Kernel memory in slabs of the whole machine, in bytes.
pub fn slabs() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "Slab:")
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|count| count * 1024)
}

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Which cores the server has, and which the load generator.
pub struct Cores {
    server: CpuSet,
    load: CpuSet,
    /// Whether the load generator has its core for itself.
    pub apart: bool,
    /// Both in words.
    pub words: String,
}

impl Cores {
    /// Gives the last core to the load generator, which is this thread, and the first `threads` to the server.
    pub fn share(threads: usize) -> Result<Self, Failure> {
        let all = sched_getaffinity(None).map_err(|error| error.to_string())?;
        let cores: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|core| all.is_set(*core)).collect();
        let (mut server, mut load) = (CpuSet::new(), CpuSet::new());
        cores.iter().take(threads).for_each(|core| server.set(*core));
        cores.iter().rev().take(1).for_each(|core| load.set(*core));
        sched_setaffinity(None, &load).map_err(|error| error.to_string())?;
        let apart = cores.len() > threads;
        let place = if apart { "a core of its own" } else { "a core that it shares with the server" };
        let words = format!("the server on {threads} core(s), the load generator on {place}");
        Ok(Self { server, load, apart, words })
    }

    /// Does something while this thread is on the server's cores, as its children are from then on.
    fn within_server<T>(&self, work: impl FnOnce() -> std::io::Result<T>) -> std::io::Result<T> {
        sched_setaffinity(None, &self.server)?;
        let done = work();
        sched_setaffinity(None, &self.load)?;
        done
    }
}

/// Lets this process and its children have as many descriptors as `connections` need.
pub fn raise_descriptors(connections: usize) -> Result<(), Failure> {
    let wanted = connections as u64 + 512;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = limit.maximum.map(|maximum| maximum.max(wanted));
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
        .map_err(|error| format!("{wanted} descriptors are needed: {error}"))
}

/// The machine in a line: processor, cores, kernel.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = rustix::system::uname();
    let (system, release) = (kernel.sysname().to_string_lossy(), kernel.release().to_string_lossy());
    let release = release.split('-').next().unwrap_or_default();
    format!("{}, {cores} cores, {system} {release}", model.unwrap_or("an unknown processor"))
}
