//! What a request costs as the table grows: a load of the whole API through `docyard dev`, and through the functions on
//! the same table.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use docyard_functions::endpoint::Endpoint;
use serde_json::Value;

use crate::programs::Toolchain;
use crate::report::{machine, table};
use crate::series::Series;
use crate::workload::{Imported, case, endpoints, request};
use docyard_test_support::account::Account;
use docyard_test_support::dev::Dev;
use docyard_test_support::sandbox::Sandbox;
use docyard_test_support::scene::Scene;
use docyard_test_support::table::TestTable;

/// How many recipients the dock has at first, and how many artifacts.
const SIZES: [usize; 3] = [10, 10_000, 1_000_000];

/// How many requests each function gets, by either way, after a tenth as many that are not measured.
const REQUESTS: usize = 300;

/// What a request to one function costs at one size, on average.
#[derive(Default)]
struct Cost {
    round_trips: f64,
    read_units: f64,
    write_units: f64,
    bytes_sent: f64,
    bytes_received: f64,
    through_function: Series,
    through_dev: Series,
    /// Whether it takes a connection with a certificate, which is not measured through `docyard dev`.
    is_on_certificate: bool,
}

/// Measures at each size; the table of it, in Markdown.
pub async fn measure(toolchain: &Toolchain) -> String {
    let docyard = toolchain.docyard();
    let mut costs: Vec<BTreeMap<&str, Cost>> = Vec::new();
    for size in SIZES {
        let directory = tempfile::tempdir().unwrap();
        // Its first start makes the database.
        drop(Dev::start_command(Command::new(&docyard), directory.path(), &[]).await);
        let imported = fill(directory.path(), size).await;
        let dev = Dev::start_command(Command::new(&docyard), directory.path(), &[]).await;
        let mut at_size = BTreeMap::new();
        // A dock has a few policies in force: one scene for all functions.
        let scene = Scene::create(&dev.table.store, &dev.key, Some(&dev.dock), "").await;
        let mut measured: Vec<_> = endpoints().collect();
        // It needs a token, and others revoke what that was made from.
        measured.sort_by_key(|endpoint| endpoint.name != "get-retrieval-access");
        for endpoint in measured {
            at_size.insert(endpoint.name, cost(toolchain, &dev, endpoint, &imported, &scene).await);
            eprintln!("{size} recipients and artifacts: {}", endpoint.name);
        }
        costs.push(at_size);
    }
    let rows = endpoints().map(|endpoint| {
        let row = |pick: fn(&Cost) -> String| {
            let mut cells: Vec<String> = costs.iter().map(|sizes| pick(&sizes[endpoint.name])).collect();
            if cells.iter().all(|cell| *cell == cells[0]) {
                cells.truncate(1);
            }
            cells.join("; ")
        };
        vec![
            endpoint.name.to_owned(),
            row(|cost| cost.round_trips.to_string()),
            row(|cost| format!("{:.1}", cost.read_units)),
            row(|cost| format!("{:.1}", cost.write_units)),
            row(|cost| format!("{:.0}", cost.bytes_sent)),
            row(|cost| format!("{:.0}", cost.bytes_received)),
            row(|cost| format!("{:.2}", cost.through_function.quantile(0.5))),
            row(|cost| match cost.is_on_certificate {
                true => "–".to_owned(),
                false => format!("{:.2}", cost.through_dev.quantile(0.5)),
            }),
        ]
    });
    let sizes = SIZES.map(|size| size.to_string()).join("; ");
    let text = format!(
        "With {sizes} recipients and as many artifacts in the dock at first, to which the load adds some hundreds; one figure where all three are \
         the same.\n\n"
    );
    machine()
        + &text
        + &table(
            "function | round trips | read units | write units | bytes to DynamoDB | bytes from it | \
             median through the function, ms | median through `docyard dev`, ms",
            rows,
        )
}

/// Puts recipients and artifacts into the database of `docyard dev`, which does not run.
async fn fill(directory: &Path, size: usize) -> Imported {
    let database = dynoxide::Database::new(directory.join("dynamodb.sqlite").to_str().unwrap()).unwrap();
    let table = TestTable::of(database).await;
    let env = std::fs::read_to_string(directory.join("dev.env")).unwrap();
    let variable = |name: &str| {
        let value = env.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap().to_owned()
    };
    let account = Account { table, key: variable("DOCYARD_API_KEY"), dock: variable("DOCYARD_DOCK_ID") };
    Imported::new(&account, size).await
}

async fn cost(
    toolchain: &Toolchain,
    dev: &Dev,
    endpoint: &Endpoint,
    imported: &Imported,
    scene: &Scene,
) -> Cost {
    let account = Account { table: dev.table.clone(), key: dev.key.clone(), dock: dev.dock.clone() };
    let network = toolchain.network(&dev.table.url).await;
    let sandbox = Sandbox::start_command(toolchain.binary(endpoint.name).command(&network.url)).await;
    let mut cost = Cost::default();
    let uses_up = case(endpoint).uses_up();
    cost.through_function.begin_round();
    cost.through_dev.begin_round();
    let all = REQUESTS + REQUESTS / 10;
    for n in 0..2 * all {
        let is_measured = n >= all - REQUESTS && n < all || n >= 2 * all - REQUESTS;
        // Spread over all of them; but what a request uses up is made for it.
        let recipient = if uses_up {
            account.recipient_with_secret(&format!("{}-{n:04}@load.example", endpoint.name)).await
        } else {
            Imported::spread(&imported.recipients, n * 7919).clone()
        };
        let artifact = Imported::spread(&imported.artifacts, n * 7919);
        let event = request(&account, endpoint, &recipient, artifact, scene, n);
        if n < all {
            network.take_calls();
            let begun = Instant::now();
            let answer = sandbox.invoke(event).await.unwrap();
            let took = begun.elapsed();
            assert!(
                [200, 201].contains(&answer["statusCode"].as_u64().unwrap()),
                "{}: {}",
                endpoint.name,
                answer["statusCode"]
            );
            if is_measured {
                cost.through_function.push(took);
                let (calls, received) = network.take_calls();
                cost.bytes_sent +=
                    calls.iter().map(|call| call.bytes).sum::<usize>() as f64 / REQUESTS as f64;
                cost.bytes_received += received as f64 / REQUESTS as f64;
            }
        } else if event["requestContext"].get("authentication").is_some() {
            cost.is_on_certificate = true;
        } else {
            let begun = Instant::now();
            send(dev, endpoint, &event).await;
            if is_measured {
                cost.through_dev.push(begun.elapsed());
            }
        }
    }
    let (lines, _) = sandbox.request_and_metric_lines();
    let mean = |name: &str| {
        let values = lines[lines.len() - REQUESTS..].iter().map(|line| line[name].as_f64().unwrap());
        values.sum::<f64>() / REQUESTS as f64
    };
    cost.round_trips = mean("round_trips");
    cost.read_units = mean("read_units");
    cost.write_units = mean("write_units");
    cost
}

/// Sends over HTTP what an event says.
async fn send(dev: &Dev, endpoint: &Endpoint, event: &Value) {
    let mut path = endpoint.route.path.to_owned();
    for (name, value) in event["pathParameters"].as_object().into_iter().flatten() {
        path = path.replace(&format!("{{{name}}}"), value.as_str().unwrap());
    }
    if let Some(query) = event["rawQueryString"].as_str().filter(|query| !query.is_empty()) {
        path = format!("{path}?{query}");
    }
    let mut request =
        dev.http.request(endpoint.route.method.as_str().parse().unwrap(), format!("{}{path}", dev.url));
    for name in ["authorization", "content-type"] {
        if let Some(value) = event["headers"][name].as_str() {
            request = request.header(name, value);
        }
    }
    if let Some(body) = event["body"].as_str() {
        request = request.body(body.to_owned());
    }
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}: {}", endpoint.name, answer.status());
    answer.bytes().await.unwrap();
}
