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
mod network;
mod programs;
mod report;
mod series;
mod workload;

use std::sync::Arc;

use clap::Parser;
use docyard_functions::endpoint::Endpoint;
use docyard_functions::endpoints;
use futures_util::stream::{self, StreamExt};

use comparison::Part;
use cpu_limit::CpuLimit;
use programs::{Peer, Program, Toolchain};
use report::Measured;
use workload::Workload;

/// Measures the release binaries of the functions, on this machine.
///
/// It builds them, starts each against the Lambda Runtime API with an embedded DynamoDB behind TLS on the loopback
/// address, and sends it API Gateway's events. Beside each function it measures the floor, a hello-world without the
/// SDK and a program that makes the same DynamoDB calls and does nothing else, and for two endpoints the same in
/// Node.js and Python, which it installs from npm and PyPI under target/bench. All is done twice: with a whole CPU, and
/// after the first poll with the share of one that a function of 128 MB has, which takes root and Linux's control
/// groups. Instructions and allocations are counted where Valgrind is installed. The tables are printed; a whole run
/// also puts them, and two plots, into docs/performance.md.
#[derive(Parser)]
struct Arguments {
    /// Measure these functions alone, and leave the document as it is
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(workload::endpoints().map(|endpoint| endpoint.name)))]
    functions: Vec<String>,
    /// Instead, measure what requests cost as the table grows to a million recipients and artifacts, through the functions and
    /// through `docyard dev`
    #[arg(long, conflicts_with = "functions")]
    growth: bool,
    /// Instead, measure how long it takes to decide on ten thousand artifacts
    #[arg(long, conflicts_with_all = ["functions", "growth"])]
    decisions: bool,
}

/// The endpoints that the peers have.
const PEERS_HAVE: [&str; 2] = ["create-recipient", "generate-secret"];

/// How many endpoints are measured at once on a share of a CPU.
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
    let toolchain = Arc::new(Toolchain::new());
    if arguments.growth {
        let text = growth::measure(&toolchain).await;
        println!("{text}");
        report::put(toolchain.root(), "growth", &text);
        return;
    }
    let is_whole = arguments.functions.is_empty();
    let mut chosen: Vec<&'static Endpoint> = workload::endpoints().collect();
    chosen
        .retain(|endpoint| is_whole || arguments.functions.iter().any(|function| function == endpoint.name));
    // Those with peers take longest.
    chosen.sort_by_key(|endpoint| !PEERS_HAVE.contains(&endpoint.name));
    let peers = toolchain.peers();
    let workload = Arc::new(Workload::new(comparison::ALL_REQUESTS).await);

    // Counts do not mind what else the machine does.
    let counts = stream::iter(&chosen).map(|endpoint| count::count(&toolchain, &workload, endpoint));
    let counts: Vec<_> = counts.buffered(2).collect().await;
    let mut measured = Vec::new();
    for (endpoint, counts) in chosen.iter().zip(counts) {
        let programs = programs(&toolchain, &peers, endpoint, false);
        let whole = comparison::hold(toolchain.clone(), workload.clone(), endpoint, programs, false).await;
        measured.push(Measured { function: endpoint.name, whole, share: Vec::new(), counts });
    }
    match CpuLimit::new() {
        Ok(_) => {
            let comparisons = chosen.iter().map(|endpoint| {
                let programs = programs(&toolchain, &peers, endpoint, true);
                comparison::hold(toolchain.clone(), workload.clone(), endpoint, programs, true)
            });
            let mut comparisons = stream::iter(comparisons).map(tokio::spawn).buffered(AT_ONCE);
            for measured in &mut measured {
                measured.share = comparisons.next().await.unwrap().unwrap();
            }
        }
        Err(reason) => eprintln!("not measured on a share of a CPU: {reason}"),
    }
    measured.sort_by_key(|measured| endpoints::all().position(|endpoint| endpoint.name == measured.function));
    let text = report::speed(&measured);
    println!("{text}");
    if is_whole {
        report::plots(&measured, &toolchain.root().join("docs/performance"));
        report::put(toolchain.root(), "speed", &text);
    }
}

/// The programs that meet at an endpoint. The function is the first of those that serve it.
fn programs(
    toolchain: &Toolchain,
    peers: &[Peer],
    endpoint: &Endpoint,
    throttled: bool,
) -> Vec<(Part, Program)> {
    let mut programs =
        vec![(Part::Endpoint, toolchain.binary(endpoint.name)), (Part::Bare, toolchain.binary("bare"))];
    if PEERS_HAVE.contains(&endpoint.name) {
        programs.extend(peers.iter().map(|peer| (Part::Endpoint, peer.program(endpoint.name))));
    }
    if endpoint.name == "create-recipient" && !throttled {
        programs.push((Part::Hello, toolchain.binary("hello")));
        programs.push((Part::Unconnected, toolchain.binary("unconnected")));
    }
    programs
}
