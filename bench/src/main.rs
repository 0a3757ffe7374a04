//! The functions measured against the floor and against other languages.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::use_debug,
    reason = "a benchmark fails by panicking"
)]

mod contest;
mod programs;
mod quota;
mod series;
mod wire;
mod workload;

#[path = "../../tests/sandbox.rs"]
mod sandbox;
#[path = "../../tests/support.rs"]
mod support;

use contest::Part;
use docyard_functions::route::ROUTES;

#[tokio::main]
async fn main() {
    let workshop = programs::Workshop::new();
    let peers = workshop.peers();
    let workload = workload::Workload::new(contest::ALL_REQUESTS).await;
    let only = std::env::args().nth(1);
    let throttled = std::env::args().nth(2).is_some();
    for route in ROUTES.iter().filter(|r| only.as_deref().is_none_or(|o| o == r.function)) {
        let mut ps = vec![
            (Part::Hello, workshop.binary("hello")),
            (Part::Endpoint, workshop.binary(route.function)),
            (Part::Bare, workshop.binary("bare")),
        ];
        if ["create-recipient", "generate-secret"].contains(&route.function) {
            ps.extend(peers.iter().map(|p| (Part::Endpoint, p.program(route.function))));
        }
        let rs = contest::hold(&workshop, &workload, route, ps, throttled).await;
        for r in &rs {
            let t = &r.times;
            println!(
                "{:20} bin {:?} zip {} poll {:.2} {:.2} unconn {:.2} answer {:.2} {:.2} first {:.2} warm {:.3} {:.3} {:.3} mem {:.1} {:.1}",
                r.program.name,
                r.program.binary_bytes,
                r.program.zip_bytes,
                t.poll.quantile(0.5),
                t.poll.quantile(0.99),
                t.poll_unconnected.quantile(0.5),
                t.answer.quantile(0.5),
                t.answer.quantile(0.99),
                t.first.quantile(0.5),
                t.warm.quantile(0.5),
                t.warm.quantile(0.9),
                t.warm.quantile(0.99),
                r.memory_started as f64 / 1e6,
                r.memory_loaded as f64 / 1e6
            );
        }
        println!(
            "unconnected/hello {}  answer/bare {}  warm/calls {} warm/bare {}",
            rs[1].times.poll_unconnected.ratio_to(&rs[0].times.poll),
            rs[1].times.answer.ratio_to(&rs[2].times.answer),
            rs[1].times.warm.ratio_to(&rs[2].times.calls),
            rs[1].times.warm.ratio_to(&rs[2].times.warm)
        );
        println!("calls {:.3}", rs[2].times.calls.quantile(0.5));
    }
}
