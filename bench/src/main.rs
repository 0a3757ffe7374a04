//! How large, quick and lean the functions are: `cargo run --release -p docyard-bench`.
//!
//! It builds the release binaries for this machine, starts each against the Lambda Runtime API with an embedded
//! DynamoDB on the loopback address, sends some of them many requests, and prints a table. Times are this machine's; they hold no TLS and no network.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark fails by panicking"
)]

#[path = "../../tests/sandbox.rs"]
mod sandbox;
#[path = "../../tests/support.rs"]
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use docyard_functions::route::{ROUTES, Route};
use sandbox::{Sandbox, Tenant};
use serde_json::{Value, json};

/// How often each function is started.
const STARTS: usize = 50;
/// How many requests are timed, after as many that are not.
const REQUESTS: usize = 1000;

#[tokio::main]
async fn main() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let build = ["build", "--release", "--package", "docyard-functions"];
    assert!(Command::new("cargo").args(build).current_dir(root).status().unwrap().success());
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let tenant = Tenant::new().await;
    // Those that create-recipient makes, for the endpoints behind it.
    let mut recipients: Vec<String> = Vec::new();

    println!(
        "| function | binary | start to first poll, median (p98) | resident after start | after {} requests | warm request, median (p99) |",
        2 * REQUESTS
    );
    println!("|---|---|---|---|---|---|");
    for route in ROUTES {
        let binary = target.join("release").join(route.function);
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            let begun = Instant::now();
            let sandbox = Sandbox::start(&binary, &tenant.table.url).await;
            starts.push(begun.elapsed());
            drop(sandbox);
        }
        let sandbox = Sandbox::start(&binary, &tenant.table.url).await;
        let after_start = resident(sandbox.process_id());
        let mut warm = Vec::new();
        for n in 0..2 * REQUESTS {
            let Some(event) = request(&tenant, route, &recipients, n) else { break };
            let begun = Instant::now();
            let response = sandbox.invoke(event).await.unwrap();
            if n >= REQUESTS {
                warm.push(begun.elapsed());
            }
            assert!([200, 201].contains(&response["statusCode"].as_u64().unwrap()));
            if route.function == "create-recipient" {
                let body: Value = serde_json::from_str(response["body"].as_str().unwrap()).unwrap();
                recipients.push(body["id"].as_str().unwrap().to_owned());
            }
        }
        println!(
            "| {} | {:.2} MB | {} ({}) | {} | {} | {} |",
            route.function,
            std::fs::metadata(&binary).unwrap().len() as f64 / 1e6,
            quantile(&mut starts, 0.5),
            quantile(&mut starts, 0.98),
            after_start,
            if warm.is_empty() { "–".to_owned() } else { resident(sandbox.process_id()) },
            if warm.is_empty() {
                "–".to_owned()
            } else {
                format!("{} ({})", quantile(&mut warm, 0.5), quantile(&mut warm, 0.99))
            },
        );
    }
}

/// The `n`th request to a function that is sent many; each is carried out, on a recipient of its own.
fn request(tenant: &Tenant, route: &Route, recipients: &[String], n: usize) -> Option<Value> {
    match route.function {
        "create-recipient" => Some(with_email(tenant.create_recipient(), n)),
        "get-recipient" => Some(tenant.request(route, &[&tenant.dock, &recipients[n]], "", None)),
        "generate-secret" => Some(tenant.generate_secret(&recipients[n])),
        "verify-secret" => Some(tenant.request(route, &[&recipients[n]], "", Some(json!({"secret": "x"})))),
        _ => None,
    }
}

fn with_email(mut event: Value, n: usize) -> Value {
    event["body"] =
        json!(json!({"name": "First National Bank", "email": format!("r{n}@example.com")}).to_string());
    event
}

fn quantile(times: &mut [Duration], q: f64) -> String {
    times.sort();
    let at = ((times.len() - 1) as f64 * q).round() as usize;
    format!("{:.2} ms", times[at].as_secs_f64() * 1000.0)
}

/// The resident memory of a process, from Linux's `/proc`.
fn resident(process: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    format!("{:.1} MB", kilobytes * 1024.0 / 1e6)
}
