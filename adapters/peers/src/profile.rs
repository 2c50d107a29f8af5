//! Where a server's time goes: `perf` watches it while it works.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{load::Failure, process::Process};

/// A running `perf record`; dropping it ends the recording.
pub struct Profile {
    perf: Child,
}

impl Profile {
    /// Records what `process` does, into `file`.
    pub fn start(process: &Process, file: &Path) -> Result<Self, Failure> {
        let mut command = Command::new("perf");
        command.args(["record", "-q", "-g", "-F", "1999", "-p", &process.id().to_string(), "-o"]).arg(file);
        let perf = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let perf = perf.map_err(|error| format!("perf does not start: {error}"))?;
        std::thread::sleep(Duration::from_millis(500)); // Until it has attached itself.
        Ok(Self { perf })
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.perf.id().cast_signed()) {
            let _ = kill_process(pid, Signal::INT); // It may be gone already.
        }
        let _ = self.perf.wait();
    }
}
