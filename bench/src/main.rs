//! The functions measured: against the floor of what a Lambda function in Rust can be, against the same endpoints in
//! other languages, and as the table grows.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::use_debug,
    reason = "a benchmark fails by panicking"
)]

mod comparison;
mod count;
mod cpu_limit;
mod decisions;
mod growth;
mod load;
mod network;
mod programs;
mod report;
mod series;
mod workload;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use futures_util::stream::{self, StreamExt};

use comparison::{Part, Turn};
use cpu_limit::CpuLimit;
use programs::{PEERS_HAVE, Peer, Program, Toolchain};
use report::Measured;
use workload::{Subject, Workload};

/// Measures the release binaries of the functions, on this machine.
///
/// It builds them, starts each against the Lambda Runtime API with an embedded DynamoDB behind TLS on the loopback
/// address, and sends it the events that Lambda would. Beside each function it measures the floor, a hello-world without the
/// SDK and a program that makes the same DynamoDB calls and does nothing else, and for three endpoints the same in
/// Node.js and Python, which it installs from npm and PyPI under target/bench. Those three are measured twice: with a whole CPU, and
/// after the first poll with the share of one that a function of 128 MB has, which takes root and Linux's control
/// groups. Instructions and allocations are counted where Valgrind is installed. The tables are printed; a whole run
/// also puts them, and two plots, into docs/performance.md.
#[derive(Parser)]
struct Arguments {
    /// Measure these functions alone, and leave the document as it is
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(Subject::all().into_iter().map(Subject::name)))]
    functions: Vec<String>,
    /// Measure beside these functions what another build made of them, whose release binaries are in this directory
    #[arg(long, value_name = "DIRECTORY", requires = "functions")]
    baseline: Option<PathBuf>,
    /// Instead, measure what requests cost as the table grows to a million recipients, artifacts and audit entries
    #[arg(long, conflicts_with = "functions")]
    growth: bool,
    /// Instead, measure how long it takes to decide on ten thousand artifacts
    #[arg(long, conflicts_with_all = ["functions", "growth"])]
    decisions: bool,
    /// Instead, hold `docyard dev` at its limit for this many minutes, with requests to the whole API
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["functions", "growth", "decisions"], value_parser = clap::value_parser!(u64).range(1..=60))]
    load: Option<u64>,
}

/// How many functions are prepared and counted at once, and measured at once on a share of a CPU.
const AT_ONCE: usize = 2;

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    if arguments.decisions {
        let text = decisions::measure();
        println!("{text}");
        report::put(docyard_test_support::root(), "decisions", &text);
        return;
    }
    if let Some(minutes) = arguments.load {
        let toolchain = Toolchain::new(std::iter::empty());
        let text = load::measure(&toolchain, minutes).await;
        println!("{text}");
        report::put(toolchain.root(), "load", &text);
        return;
    }
    let is_whole = arguments.functions.is_empty();
    let mut chosen = Subject::all();
    chosen
        .retain(|subject| is_whole || arguments.functions.iter().any(|function| function == subject.name()));
    let toolchain = Arc::new(Toolchain::new(chosen.iter().map(|subject| subject.name())));
    if arguments.growth {
        let text = growth::measure(&toolchain).await;
        println!("{text}");
        report::put(toolchain.root(), "growth", &text);
        return;
    }
    let peers = match chosen.iter().any(|subject| PEERS_HAVE.contains(&subject.name())) {
        true => toolchain.peers(),
        false => Vec::new(),
    };

    // Counts do not mind what else the machine does.
    let prepared = chosen.iter().map(async |subject| {
        let requests = Turn::of(*subject, false).all_requests().max(count::ALL_REQUESTS);
        let workload = Arc::new(Workload::new(*subject, requests).await);
        let counts = count::count(&toolchain, &workload, &toolchain.binary(subject.name())).await;
        if let Some(directory) = &arguments.baseline {
            let baseline = toolchain.baseline(directory, subject.name());
            let counts = count::count(&toolchain, &workload, &baseline).await;
            println!("{}: {}\n", baseline.name, report::counted(counts.as_ref()));
        }
        (workload, counts)
    });
    let prepared: Vec<_> = stream::iter(prepared).buffered(AT_ONCE).collect().await;
    let mut measured = Vec::new();
    for (workload, counts) in prepared {
        let mut programs = programs(&toolchain, &peers, workload.subject, false);
        if let Some(directory) = &arguments.baseline {
            programs.push((Part::Endpoint, toolchain.baseline(directory, workload.subject.name())));
        }
        let whole = comparison::hold(toolchain.clone(), workload.clone(), programs, false).await;
        let function = workload.subject.name();
        measured.push((workload, Measured { function, whole, share: Vec::new(), counts }));
    }
    match CpuLimit::new() {
        Ok(_) => {
            let with_peers =
                measured.iter_mut().filter(|(_, measured)| PEERS_HAVE.contains(&measured.function));
            let comparisons = with_peers.map(|(workload, measured)| {
                let programs = programs(&toolchain, &peers, workload.subject, true);
                let held =
                    tokio::spawn(comparison::hold(toolchain.clone(), workload.clone(), programs, true));
                async { measured.share = held.await.unwrap() }
            });
            stream::iter(comparisons).buffered(AT_ONCE).collect::<Vec<()>>().await;
        }
        Err(reason) => eprintln!("not measured on a share of a CPU: {reason}"),
    }
    let measured: Vec<Measured> = measured.into_iter().map(|(_, measured)| measured).collect();
    let text = report::speed(&measured);
    println!("{text}");
    if is_whole {
        report::plots(&measured, &toolchain.root().join("docs/performance"));
        report::put(toolchain.root(), "speed", &text);
    }
}

/// The programs that meet at a function. The function is the first of those that serve it.
fn programs(
    toolchain: &Toolchain,
    peers: &[Peer],
    subject: Subject,
    throttled: bool,
) -> Vec<(Part, Program)> {
    let mut programs = vec![(Part::Endpoint, toolchain.binary(subject.name()))];
    if subject.calls_dynamodb() {
        programs.push((Part::Bare, toolchain.bare(subject.connections())));
    }
    if PEERS_HAVE.contains(&subject.name()) {
        programs.extend(peers.iter().map(|peer| (Part::Endpoint, peer.program(subject.name()))));
    }
    if subject.name() == "create-recipient" && !throttled {
        programs.push((Part::Hello, toolchain.binary("hello")));
        programs.push((Part::Unconnected, toolchain.binary("unconnected")));
    }
    programs
}
