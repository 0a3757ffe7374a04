//! Instructions and allocations, counted by Valgrind's `callgrind`: they are the same whatever else the machine does.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use crate::programs::{Program, Toolchain};
use crate::workload::Workload;
use docyard_test_support::sandbox::Sandbox;

/// How many requests are counted.
const REQUESTS: usize = 20;

/// The requests that this takes.
pub const ALL_REQUESTS: usize = 2 * REQUESTS;

/// What one request costs in the function.
pub struct Counts {
    /// Instructions of its process.
    pub instructions: f64,
    /// Blocks of memory that it asks for.
    pub allocations: f64,
}

/// Counts what a request to a function costs, on average: what `2 n` requests cost more than `n`. `None` without
/// Valgrind.
pub async fn count(toolchain: &Toolchain, workload: &Workload, program: &Program) -> Option<Counts> {
    std::process::Command::new("valgrind").arg("--version").output().ok()?;
    let once = total(toolchain, workload, program, REQUESTS).await;
    let twice = total(toolchain, workload, program, 2 * REQUESTS).await;
    let each = |once: u64, twice: u64| (twice - once) as f64 / REQUESTS as f64;
    eprintln!("{}: counted", program.name);
    Some(Counts { instructions: each(once.0, twice.0), allocations: each(once.1, twice.1) })
}

/// The instructions and allocations of a process that starts, answers so many requests, and ends.
async fn total(toolchain: &Toolchain, workload: &Workload, program: &Program, requests: usize) -> (u64, u64) {
    let world = workload.world(toolchain).await;
    let file = toolchain.directory().join(format!("callgrind.{}", workload.subject.name()));
    let mut output = OsString::from("--callgrind-out-file=");
    output.push(&file);
    let runner = ["valgrind".into(), "--quiet".into(), "--tool=callgrind".into(), output];
    let sandbox = Sandbox::start_command(program.command_under(&runner, &world.network.url)).await;
    for n in 0..requests {
        let answer = sandbox.invoke(workload.event(n)).await.unwrap();
        assert!(workload.subject.is_carried_out(&answer), "{}: {}", workload.subject.name(), sandbox.log());
    }
    sandbox.end();
    read(&file)
}

/// Reads callgrind's file: <https://valgrind.org/docs/manual/cl-format.html>.
fn read(file: &Path) -> (u64, u64) {
    let text = std::fs::read_to_string(file).unwrap();
    let number = |text: &str| text.split_whitespace().next().unwrap().parse::<u64>().unwrap();
    let instructions =
        text.lines().find_map(|line| line.strip_prefix("summary:").or(line.strip_prefix("totals:"))).unwrap();
    // A function is named where it first stands, `cfn=(12) malloc`, and later by its number alone.
    let mut allocators = BTreeSet::new();
    let mut called = "";
    let mut allocations = 0;
    for line in text.lines() {
        if let Some((number, name)) =
            line.strip_prefix("cfn=").or(line.strip_prefix("fn=")).and_then(|name| name.split_once(' '))
            && ["malloc", "calloc", "realloc", "posix_memalign"].contains(&name)
        {
            allocators.insert(number);
        }
        if let Some(name) = line.strip_prefix("cfn=") {
            called = name.split(' ').next().unwrap();
        } else if let Some(calls) = line.strip_prefix("calls=")
            && allocators.contains(called)
        {
            allocations += number(calls);
        }
    }
    (number(instructions), allocations)
}
