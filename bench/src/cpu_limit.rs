//! A share of a CPU like that of a function with 128 MB.
//!
//! AWS gives a function one whole CPU at 1,769 MB, and less in proportion:
//! <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>. 128 MB are 7.2 % of one, here as 1.447 ms
//! in every 20 ms, by Linux's control groups (version 1 or 2, whichever has the `cpu` controller), which takes root. As
//! on Lambda, a program has the whole CPU until its first poll.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const PERIOD_MICROSECONDS: u32 = 20_000;
const SHARE_MICROSECONDS: u32 = PERIOD_MICROSECONDS * 128 / 1769;

/// A control group with that share, for one process.
pub struct CpuLimit(PathBuf);

impl CpuLimit {
    /// A new one; `Err` says why there can be none on this machine.
    pub fn new() -> Result<Self, String> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("docyard-bench-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let version_1 = Path::new("/sys/fs/cgroup/cpu");
        let root = if version_1.is_dir() { version_1 } else { Path::new("/sys/fs/cgroup") };
        let group = Self(root.join(name));
        let write = |file: &str, text: String| std::fs::write(group.0.join(file), text);
        std::fs::create_dir(&group.0)
            .and_then(|()| {
                if !version_1.is_dir() {
                    // It may be there already, and where it may not be added the next step says so.
                    let _ = std::fs::write(root.join("cgroup.subtree_control"), "+cpu");
                }
                if version_1.is_dir() {
                    write("cpu.cfs_period_us", PERIOD_MICROSECONDS.to_string())?;
                    write("cpu.cfs_quota_us", SHARE_MICROSECONDS.to_string())
                } else {
                    write("cpu.max", format!("{SHARE_MICROSECONDS} {PERIOD_MICROSECONDS}"))
                }
            })
            .map_err(|error| format!("no control group with a CPU quota: {error}"))?;
        Ok(group)
    }

    /// Holds a process to the share from now on.
    pub fn admit(&self, process: u32) {
        std::fs::write(self.0.join("cgroup.procs"), process.to_string()).unwrap();
    }

    /// Lets it go.
    pub fn release(&self, process: u32) {
        std::fs::write(self.0.with_file_name("cgroup.procs"), process.to_string()).unwrap();
    }
}

impl Drop for CpuLimit {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
