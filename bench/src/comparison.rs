//! One endpoint's programs against each other: started and asked by turns, so that whatever else the machine does
//! meets them all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cpu_limit::CpuLimit;
use crate::network::Call;
use crate::programs::{Program, Toolchain};
use crate::series::Series;
use crate::workload::{RESULTS, Subject, Workload, World};
use docyard_test_support::sandbox::Sandbox;

/// How many turns each program has.
pub const ROUNDS: usize = 4;

/// What a program gets in one turn.
#[derive(Clone, Copy)]
pub struct Turn {
    /// How often it is started.
    pub starts: usize,
    /// How many requests the one that runs already gets.
    pub requests: usize,
}

impl Turn {
    /// Fewer where each request takes longer, on a share of a CPU and of a thousand links, and where each needs things of its own.
    pub fn of(subject: Subject, throttled: bool) -> Self {
        let (starts, requests) = match (throttled, subject.name() == RESULTS, subject.is_imported()) {
            (true, true, _) => (1, 4),
            (true, false, _) => (4, 40),
            (false, true, _) => (3, 15),
            (false, false, true) => (4, 100),
            (false, false, false) => (2, 10),
        };
        Self { starts, requests }
    }

    /// The most requests that one program gets: before the first round as many as in one, which are not measured.
    pub fn all_requests(self) -> usize {
        self.requests + ROUNDS * (self.starts + self.requests)
    }
}

/// What is told to a program, and what of it is measured.
#[derive(Clone, Copy, PartialEq)]
pub enum Part {
    /// The floor without the SDK: any request, and a greeting.
    Hello,
    /// A function that opens no connection at its start: it is started and never asked.
    Unconnected,
    /// The function itself, or the same endpoint in another language.
    Endpoint,
    /// The floor with the SDK: the calls that the function made for the same request.
    Bare,
}

/// Times in milliseconds, by round.
#[derive(Default)]
pub struct Times {
    /// From the process's start to its first poll of the Runtime API.
    pub poll: Series,
    /// From the process's start to the answer to its first request, which comes as soon as it polls.
    pub answer: Series,
    /// The first request alone.
    pub first: Series,
    /// A request to a program that runs already.
    pub warm: Series,
    /// Of that the calls of DynamoDB, as `bare` measures them.
    pub calls: Series,
}

/// All that was measured of one program.
pub struct Result {
    /// Which one.
    pub program: Program,
    /// What it was told.
    pub part: Part,
    /// How long it took.
    pub times: Times,
    /// Resident bytes after its start.
    pub memory_started: u64,
    /// Resident bytes after all requests.
    pub memory_loaded: u64,
}

/// Measures these programs, which serve the workload. The function comes before `bare`, which repeats its calls.
pub async fn hold(
    toolchain: Arc<Toolchain>,
    workload: Arc<Workload>,
    programs: Vec<(Part, Program)>,
    throttled: bool,
) -> Vec<Result> {
    let mut calls = Vec::new();
    let mut participants = Vec::new();
    for (part, program) in programs {
        let world = workload.world(&toolchain).await;
        let mut participant = Participant::start(&workload, world, part, program, throttled).await;
        let warm_up = if part == Part::Unconnected { 0 } else { participant.turn.requests };
        for _ in 0..warm_up {
            let sandbox = participant.running.take().unwrap();
            participant.ask(&sandbox, &mut calls).await;
            participant.running = Some(sandbox);
        }
        participants.push(participant);
    }
    for round in 1..=ROUNDS {
        for participant in &mut participants {
            participant.take_turn(&mut calls).await;
        }
        let share = if throttled { " on a share of a CPU" } else { "" };
        eprintln!("{}{share}: round {round} of {ROUNDS}", workload.subject.name());
    }
    participants.into_iter().map(Participant::finish).collect()
}

struct Participant<'a> {
    workload: &'a Workload,
    turn: Turn,
    world: World,
    part: Part,
    program: Program,
    /// Whether it has only a share of the CPU.
    throttled: bool,
    cpu_limit: Option<CpuLimit>,
    running: Option<Sandbox>,
    memory_started: u64,
    /// How many requests it had.
    asked: usize,
    times: Times,
}

impl<'a> Participant<'a> {
    async fn start(
        workload: &'a Workload,
        world: World,
        part: Part,
        program: Program,
        throttled: bool,
    ) -> Self {
        let sandbox = Sandbox::start_command(program.command(&world.network.url)).await;
        let memory_started = resident(sandbox.process_id());
        let cpu_limit = throttled.then(|| CpuLimit::new().unwrap());
        if let Some(cpu_limit) = &cpu_limit {
            cpu_limit.admit(sandbox.process_id());
        }
        world.network.take_calls();
        Self {
            workload,
            turn: Turn::of(workload.subject, throttled),
            world,
            part,
            program,
            throttled,
            cpu_limit,
            running: Some(sandbox),
            memory_started,
            asked: 0,
            times: Times::default(),
        }
    }

    async fn take_turn(&mut self, calls: &mut Vec<Vec<Call>>) {
        let times = &mut self.times;
        let all = [&mut times.poll, &mut times.answer, &mut times.first, &mut times.warm, &mut times.calls];
        all.into_iter().for_each(Series::begin_round);
        for _ in 0..self.turn.starts {
            let cpu_limit = self.throttled.then(|| CpuLimit::new().unwrap());
            let command = self.program.command(&self.world.network.url);
            let begun = Instant::now();
            let sandbox = Sandbox::start_command(command).await;
            let poll = begun.elapsed();
            self.times.poll.push(poll);
            if self.part == Part::Unconnected {
                continue;
            }
            self.world.network.take_calls();
            if let Some(cpu_limit) = &cpu_limit {
                cpu_limit.admit(sandbox.process_id());
            }
            let (first, _) = self.ask(&sandbox, calls).await;
            self.times.first.push(first);
            self.times.answer.push(poll + first);
            if let Some(cpu_limit) = &cpu_limit {
                // To end takes CPU time too, which nobody waits for.
                cpu_limit.release(sandbox.process_id());
            }
        }
        if self.part == Part::Unconnected {
            return;
        }
        let sandbox = self.running.take().unwrap();
        for _ in 0..self.turn.requests {
            let (request, in_calls) = self.ask(&sandbox, calls).await;
            self.times.warm.push(request);
            if let Some(in_calls) = in_calls {
                self.times.calls.push(in_calls);
            }
        }
        self.running = Some(sandbox);
    }

    /// Sends the next request; how long it took, and of that the calls, where the program tells.
    async fn ask(&mut self, sandbox: &Sandbox, calls: &mut Vec<Vec<Call>>) -> (Duration, Option<Duration>) {
        let n = self.asked;
        self.asked += 1;
        let event = match self.part {
            Part::Bare => self.workload.repetition(&calls[n]),
            _ => self.workload.event(n),
        };
        let begun = Instant::now();
        let answer = sandbox.invoke(event).await;
        let took = begun.elapsed();
        let answer = answer.unwrap_or_else(|error| panic!("{}: {error}", self.program.name));
        let subject = self.workload.subject;
        let is_carried_out = match self.part {
            Part::Endpoint => subject.is_carried_out(&answer),
            _ => answer["statusCode"] == 200,
        };
        assert!(is_carried_out, "{}, {}: {}", subject.name(), self.program.name, sandbox.log());
        let (made, _) = self.world.network.take_calls();
        match self.part {
            Part::Endpoint => {
                // The function comes first, and its calls are those that are repeated.
                if n == calls.len() {
                    calls.push(made);
                }
                (took, None)
            }
            Part::Bare => {
                let nanoseconds = answer["body"].as_str().and_then(|body| body.parse().ok()).unwrap();
                (took, Some(Duration::from_nanos(nanoseconds)))
            }
            Part::Hello | Part::Unconnected => (took, None),
        }
    }

    fn finish(self) -> Result {
        let memory_loaded = resident(self.running.as_ref().unwrap().process_id());
        // First the process, then its control group.
        drop(self.running);
        drop(self.cpu_limit);
        Result {
            program: self.program,
            part: self.part,
            times: self.times,
            memory_started: self.memory_started,
            memory_loaded,
        }
    }
}

/// The resident memory of a process in bytes, from Linux's `/proc`.
pub fn resident(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}
