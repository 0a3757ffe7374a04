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

mod contest;
mod count;
mod growth;
mod programs;
mod quota;
mod report;
mod series;
mod wire;
mod workload;

#[path = "../../tests/dev.rs"]
mod dev;
#[path = "../../tests/sandbox.rs"]
mod sandbox;
#[path = "../../tests/support.rs"]
mod support;

use std::sync::Arc;

use clap::Parser;
use docyard_functions::route::{ROUTES, Route};
use futures_util::stream::{self, StreamExt};

use contest::Part;
use programs::{Peer, Program, Workshop};
use quota::Quota;
use report::Endpoint;
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
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(ROUTES.iter().map(|route| route.function)))]
    functions: Vec<String>,
    /// Instead, measure what requests cost as the table grows to a million recipients, through the functions and
    /// through `docyard dev`
    #[arg(long, conflicts_with = "functions")]
    growth: bool,
}

/// The endpoints that the peers have.
const PEERS_HAVE: [&str; 2] = ["create-recipient", "generate-secret"];

/// How many endpoints are measured at once on a share of a CPU.
const AT_ONCE: usize = 2;

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let workshop = Arc::new(Workshop::new());
    if arguments.growth {
        let text = growth::measure(&workshop).await;
        println!("{text}");
        report::put(workshop.root(), "growth", &text);
        return;
    }
    let is_whole = arguments.functions.is_empty();
    let mut routes: Vec<&'static Route> = ROUTES.to_vec();
    routes.retain(|route| is_whole || arguments.functions.iter().any(|function| function == route.function));
    // Those with peers take longest.
    routes.sort_by_key(|route| !PEERS_HAVE.contains(&route.function));
    let peers = workshop.peers();
    let workload = Arc::new(Workload::new(contest::ALL_REQUESTS).await);

    // Counts do not mind what else the machine does.
    let counts = stream::iter(&routes).map(|route| count::count(&workshop, &workload, route));
    let counts: Vec<_> = counts.buffered(2).collect().await;
    let mut endpoints = Vec::new();
    for (route, counts) in routes.iter().zip(counts) {
        let programs = programs(&workshop, &peers, route, false);
        let whole = contest::hold(workshop.clone(), workload.clone(), route, programs, false).await;
        endpoints.push(Endpoint { function: route.function, whole, share: Vec::new(), counts });
    }
    match Quota::new() {
        Ok(_) => {
            let contests = routes.iter().map(|route| {
                let programs = programs(&workshop, &peers, route, true);
                contest::hold(workshop.clone(), workload.clone(), route, programs, true)
            });
            let mut contests = stream::iter(contests).map(tokio::spawn).buffered(AT_ONCE);
            for endpoint in &mut endpoints {
                endpoint.share = contests.next().await.unwrap().unwrap();
            }
        }
        Err(reason) => eprintln!("not measured on a share of a CPU: {reason}"),
    }
    endpoints.sort_by_key(|endpoint| ROUTES.iter().position(|route| route.function == endpoint.function));
    let text = report::speed(&endpoints);
    println!("{text}");
    if is_whole {
        report::plots(&endpoints, &workshop.root().join("docs/performance"));
        report::put(workshop.root(), "speed", &text);
    }
}

/// The programs that meet at an endpoint. The function is the first of those that serve it.
fn programs(workshop: &Workshop, peers: &[Peer], route: &Route, throttled: bool) -> Vec<(Part, Program)> {
    let mut programs =
        vec![(Part::Endpoint, workshop.binary(route.function)), (Part::Bare, workshop.binary("bare"))];
    if PEERS_HAVE.contains(&route.function) {
        programs.extend(peers.iter().map(|peer| (Part::Endpoint, peer.program(route.function))));
    }
    if route.function == "create-recipient" && !throttled {
        programs.push((Part::Hello, workshop.binary("hello")));
        programs.push((Part::Unconnected, workshop.binary("unconnected")));
    }
    programs
}
