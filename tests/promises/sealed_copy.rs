//! The sealed copy: whatever becomes of the sealer, each entry is in it once, and each chain holds.
//!
//! The code under test is what runs on Lambda, in this process, on the records of the table's own stream.

use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use docyard_core::model::sealed_copy::Chain;
use docyard_core::store::SealedCopy;
use docyard_core::values::clock::Clock;
use docyard_functions::sealer::Sealer;
use docyard_test_support::account::Account;
use docyard_test_support::bucket::TestBucket;
use docyard_test_support::fault::InjectedFault;
use docyard_test_support::sealed::{expected, minutes_ago, seal, sealed, write_entry};
use docyard_test_support::stream::{Stream, event};
use docyard_test_support::{faulty_client, is_thorough};
use serde_json::Value;

use crate::worker::{FAULTS, Plan};

/// A table with entries of an account and two docks, and the batches in which its stream tells of them.
struct World {
    account: Account,
    batches: Vec<Vec<Value>>,
    bucket: TestBucket,
    plan: Arc<Mutex<Plan>>,
    copy: SealedCopy,
}

/// An empty bucket, what fails of it, and the copy in it.
async fn empty_copy() -> (TestBucket, Arc<Mutex<Plan>>, SealedCopy) {
    let (bucket, plan) = (TestBucket::locked(1).await, Arc::new(Mutex::new(Plan::default())));
    let planned = plan.clone();
    let decide = Arc::new(move |operation: &str| planned.lock().unwrap().next(operation));
    let copy = faulty_client::sealed_copy(&bucket, decide);
    (bucket, plan, copy)
}

impl World {
    async fn new() -> Self {
        let account = Account::new().await;
        let mut stream = Stream::of(&account.table).await;
        // What was there before the stream was enabled is no part of it.
        let owner = account.table.account().await;
        let dock = account.table.dock(owner).await;
        account.table.key(owner).await;
        let account = Account { dock: dock.to_string(), ..account };
        let (recipient, _) = account.recipient_with_secret("a@example.com").await;
        let mut batches = vec![stream.take_all()];
        account.table.dock(owner).await;
        account.add_secrets(&recipient, 2).await;
        write_entry(&account, "1", minutes_ago(30)).await;
        batches.push(stream.take_all());
        write_entry(&account, "2", minutes_ago(0)).await;
        account.table.key(owner).await;
        batches.push(stream.take_all());
        let (bucket, plan, copy) = empty_copy().await;
        Self { account, batches, bucket, plan, copy }
    }

    /// The same with an empty bucket.
    async fn again(self) -> Self {
        let (bucket, plan, copy) = empty_copy().await;
        Self { bucket, plan, copy, ..self }
    }

    /// Seals a batch as often as it fails, as Lambda does, each time by a sealer that knows nothing.
    async fn seal_at_last(&self, records: &[Value], what: &str) {
        for _ in 0..4 {
            if seal(&self.copy, records).await.is_ok() {
                return;
            }
            self.plan.lock().unwrap().fault = None;
        }
        panic!("{what}: it never ended");
    }

    async fn assert_all_is_sealed(&self, what: &str) {
        let mut expected = expected(&self.account.table).await;
        // Those from before the stream.
        let told: String = self.batches.iter().flatten().map(Value::to_string).collect();
        expected.retain(|(_, id)| told.contains(id));
        assert!(expected.len() >= 10, "{}", expected.len());
        let chains = expected.iter().map(|(chain, _)| chain.clone());
        let copy = SealedCopy::new(self.bucket.bucket(), Clock::system());
        assert_eq!(sealed(&copy, chains).await, expected, "{what}");
    }
}

#[tokio::test]
async fn every_entry_is_sealed_once_though_records_come_twice_late_and_in_another_order() {
    let world = World::new().await;
    for batch in &world.batches {
        seal(&world.copy, batch).await.unwrap();
    }
    world.assert_all_is_sealed("one after the other").await;
    let repeated = [&world.batches[2][..], &world.batches[0], &world.batches[2]].concat();
    for batch in [&world.batches[0], &repeated] {
        seal(&world.copy, batch).await.unwrap();
        world.assert_all_is_sealed("late, and twice").await;
    }

    let world = world.again().await;
    let mut reversed = world.batches.concat();
    reversed.reverse();
    for records in reversed.chunks(3) {
        seal(&world.copy, records).await.unwrap();
    }
    world.assert_all_is_sealed("in another order").await;
}

#[tokio::test]
async fn one_sealer_remembers_and_two_at_once_agree() {
    let world = World::new().await;
    let (one, other) = (Sealer::new(world.copy.clone()), Sealer::new(world.copy.clone()));
    for batch in &world.batches {
        let (event, record) = (event(batch), Default::default());
        let (first, second) = tokio::join!(one.handle(&event, &record), other.handle(&event, &record));
        assert!(first.is_ok() && second.is_ok());
    }
    world.assert_all_is_sealed("by two at once").await;
    let calls = world.plan.lock().unwrap().calls;
    let batch = event(&world.batches[2]);
    one.handle(&batch, &Default::default()).await.unwrap();
    assert_eq!(world.plan.lock().unwrap().calls, calls, "what it knows to be sealed costs no call");
}

#[tokio::test]
async fn killed_or_faulted_at_any_call_it_ends_right_when_it_goes_on() {
    let mut world = World::new().await;
    for batch in &world.batches {
        seal(&world.copy, batch).await.unwrap();
    }
    let calls = world.plan.lock().unwrap().calls;
    assert!(calls > 20, "{calls}");
    let faults = FAULTS.into_iter().filter(|(fault, _)| *fault != InjectedFault::Unprocessed);
    let faults: Vec<_> = faults.collect();
    for at in 1..=calls {
        // Each call has one of them, or all.
        let (skipped, tried) = if is_thorough() { (0, faults.len()) } else { (at % faults.len(), 1) };
        for &(fault, behind) in faults.iter().skip(skipped).take(tried) {
            world = world.again().await;
            world.plan.lock().unwrap().fault = Some((at, fault, behind));
            let what = format!("call {at}, {fault:?}, behind it {behind:?}");
            for batch in &world.batches {
                world.seal_at_last(batch, &what).await;
            }
            world.assert_all_is_sealed(&what).await;
        }
    }
}

#[tokio::test]
async fn while_the_bucket_is_out_of_reach_nothing_is_given_up_and_afterwards_all_is_sealed() {
    let world = World::new().await;
    seal(&world.copy, &world.batches[0]).await.unwrap();
    let out_of_reach = Some((1, InjectedFault::Unreachable, Some(InjectedFault::Unreachable)));
    world.plan.lock().unwrap().fault = out_of_reach;
    for _ in 0..3 {
        for batch in &world.batches[1..] {
            assert!(seal(&world.copy, batch).await.is_err(), "Lambda brings it again");
        }
    }
    world.plan.lock().unwrap().fault = None;
    for batch in world.batches[1..].iter().rev() {
        seal(&world.copy, batch).await.unwrap();
    }
    world.assert_all_is_sealed("after an outage").await;
}

#[tokio::test]
async fn what_somebody_else_put_into_a_chain_stops_no_sealing() {
    let world = World::new().await;
    seal(&world.copy, &world.batches[0]).await.unwrap();
    // An object that is none, behind the last one.
    let chain = Chain::parse(&world.account.dock).unwrap();
    let mut last = 0;
    while let Some(number) = world.copy.next(chain, last).await.unwrap() {
        last = number;
    }
    let key = format!("{}/{:012}", world.account.dock, last + 1);
    let headers = [("if-none-match", "*")];
    let now = UNIX_EPOCH + Duration::from_millis(Clock::system().now().unix_milliseconds());
    let put = world.bucket.bucket().send("PUT", &key, &headers, b"no object", now).await.unwrap();
    assert_eq!(put.status().as_u16(), 200);
    for batch in &world.batches[1..] {
        seal(&world.copy, batch).await.unwrap();
    }
    assert!(world.copy.next(chain, last + 1).await.unwrap().is_some(), "the chain goes on behind it");
}
