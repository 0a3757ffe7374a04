//! What a request costs: round trips, capacity units, dollars. The table of `docs/costs.md`.

use crate::account::Account;
use crate::cases::{self, Case, THERE, Things};
use crate::proxy::Proxy;
use serde_json::Value;

/// What one request consumed, as DynamoDB reports it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Units {
    pub read: f64,
    pub write: f64,
}

/// Makes the request of each case that has a budget once, checks that it makes just the calls of its budget, and
/// returns what it consumed. `send` sends the event to the case's endpoint, over the table behind the URL, and checks
/// the status.
pub async fn measure(
    account: &Account,
    send: impl AsyncFn(&Case, &str, Value, &Proxy),
) -> Vec<(Case, Units)> {
    let (proxy, url) = Proxy::before(&account.table).await;
    let mut measured = Vec::new();
    for (n, case) in cases::of_every_endpoint("with a budget of calls", |case| case.calls.is_some())
        .into_iter()
        .enumerate()
    {
        let things = Things::create(account, &case, &format!("{n}-{THERE}")).await;
        let event = case.event(account, &things, n);
        send(&case, &url, event, &proxy).await;
        proxy.assert_calls_made(&case.name());
        assert_eq!(
            proxy.take_calls().len(),
            case.calls.unwrap_or_default().concat().len(),
            "{} makes no other call",
            case.name()
        );
        let (read, write) = proxy.take_units();
        measured.push((case, Units { read, write }));
    }
    measured
}

/// The row of a request in `docs/costs.md`.
pub fn row(case: &Case, units: Units) -> String {
    let round_trips = case.calls.unwrap_or_default().len();
    let (api_gateway, lambda_requests) = (1.0, 0.2);
    let gigabyte_seconds = round_trips as f64 * 0.010 * 0.125 * 1e6;
    let calls = case.calls.unwrap_or_default().concat();
    let of_s3 = |operations: &[&str]| calls.iter().filter(|call| operations.contains(call)).count() as f64;
    let s3 = of_s3(&["PutObject"]) * 5.0 + of_s3(&["HeadObject", "GetObject"]) * 0.4;
    let dollars = api_gateway
        + lambda_requests
        + s3
        + gigabyte_seconds * 0.000_013_333_4
        + units.read * 0.125
        + units.write * 0.625;
    format!("| {} | {round_trips} | {} | {} | ${dollars:.2} |", case.name(), units.read, units.write)
}
