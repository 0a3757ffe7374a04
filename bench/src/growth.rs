//! What a request costs as the table grows: the whole API's requests, through the functions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use crate::programs::Toolchain;
use crate::report::{machine, table};
use crate::series::Series;
use crate::workload::{Events, Imported, RESULTS, Subject};
use docyard_test_support::account::Account;
use docyard_test_support::bucket::{self, TestBucket};
use docyard_test_support::sandbox::Sandbox;
use docyard_test_support::scene::Scene;
use docyard_test_support::table::TestTable;

/// How many recipients the dock has at first, how many members the group, how many artifacts, and how many entries the trail.
const SIZES: [usize; 3] = [10, 10_000, 1_000_000];

/// How many requests a function gets after a tenth as many that are not measured. Fewer where each needs things that the API makes.
fn requests(subject: Subject) -> usize {
    if subject.is_imported() && subject.name() != RESULTS { 100 } else { 10 }
}

/// What a request to one function costs at one size, on average.
#[derive(Default)]
struct Cost {
    round_trips: f64,
    read_units: f64,
    write_units: f64,
    bytes_sent: f64,
    bytes_received: f64,
    times: Series,
}

/// Measures at each size; the table of it, in Markdown.
pub async fn measure(toolchain: &Toolchain) -> String {
    let mut costs: Vec<BTreeMap<&str, Cost>> = Vec::new();
    for size in SIZES {
        // In a file, as in `docyard dev`.
        let directory = tempfile::tempdir().unwrap();
        let database = dynoxide::Database::new(directory.path().join("table").to_str().unwrap()).unwrap();
        let table = TestTable::of(database).await;
        table.store.create_table().await.unwrap();
        let account = Account::of(table).await;
        // A dock has a few policies in force: one scene for all functions.
        let scene = Scene::create(&account.table.store, &account.key, Some(&account.dock), "").await;
        let membership = account.membership_to_import(&scene.group, &scene.member).await;
        let imported = Arc::new(Imported::new(&account, size, true).await);
        account.import_members_like(&membership, &imported.recipients);
        let mut at_size = BTreeMap::new();
        let mut measured = Subject::all();
        // It needs a token, and others revoke what that was made from.
        measured.sort_by_key(|subject| subject.name() != "get-retrieval-access");
        for subject in measured {
            let events = Events::new(&account, subject, imported.clone(), scene.clone()).await;
            at_size.insert(subject.name(), cost(toolchain, &account, subject, events).await);
            eprintln!("{size} of each: {}", subject.name());
        }
        costs.push(at_size);
    }
    let rows = Subject::all().into_iter().map(|subject| {
        let row = |pick: fn(&Cost) -> String| {
            let mut cells: Vec<String> = costs.iter().map(|sizes| pick(&sizes[subject.name()])).collect();
            if cells.iter().all(|cell| *cell == cells[0]) {
                cells.truncate(1);
            }
            cells.join("; ")
        };
        vec![
            subject.name().to_owned(),
            row(|cost| format!("{:.1}", cost.round_trips)),
            row(|cost| format!("{:.1}", cost.read_units)),
            row(|cost| format!("{:.1}", cost.write_units)),
            row(|cost| format!("{:.0}", cost.bytes_sent)),
            row(|cost| format!("{:.0}", cost.bytes_received)),
            row(|cost| format!("{:.2}", cost.times.quantile(0.5))),
        ]
    });
    let sizes = SIZES.map(|size| size.to_string()).join("; ");
    let text = format!(
        "With {sizes} recipients in the dock and in its group, as many artifacts and as many audit entries at first, to which the load adds \
         some hundreds; one figure where all three are the same.\n\n"
    );
    machine()
        + &text
        + &table(
            "function | round trips | read units | write units | bytes to DynamoDB | bytes from it | median, ms",
            rows,
        )
}

async fn cost(toolchain: &Toolchain, account: &Account, subject: Subject, mut events: Events) -> Cost {
    let network = toolchain.network(&account.table.url).await;
    // The sealer has a bucket of its own.
    let sealed = TestBucket::start().await;
    let of_contents = bucket::url_beside(&account.table.url);
    let bucket = if matches!(subject, Subject::Sealer) { &sealed.url } else { &of_contents };
    bucket::put_beside(&network.url, bucket);
    let sandbox = Sandbox::start_command(toolchain.binary(subject.name()).command(&network.url)).await;
    let mut cost = Cost::default();
    cost.times.begin_round();
    let requests = requests(subject);
    let mean = |sum: f64| sum / requests as f64;
    for n in 0..requests + requests / 10 {
        let event = events.next(account, n).await;
        network.take_calls();
        let begun = Instant::now();
        let answer = sandbox.invoke(event).await.unwrap();
        let took = begun.elapsed();
        assert!(subject.is_carried_out(&answer), "{}: {}", subject.name(), sandbox.log());
        if n >= requests / 10 {
            cost.times.push(took);
            let (calls, received) = network.take_calls();
            cost.bytes_sent += mean(calls.iter().map(|call| call.bytes).sum::<usize>() as f64);
            cost.bytes_received += mean(received as f64);
        }
    }
    let log = sandbox.log();
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lines: Vec<Value> = lines.filter(|line| line["round_trips"].is_u64()).collect();
    let sum = |name: &str| {
        lines[lines.len() - requests..].iter().map(|line| line[name].as_f64().unwrap_or_default()).sum()
    };
    cost.round_trips = mean(sum("round_trips"));
    cost.read_units = mean(sum("read_units"));
    cost.write_units = mean(sum("write_units"));
    cost
}
