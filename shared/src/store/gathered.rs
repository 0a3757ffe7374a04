//! Reads of items, gathered: what a request asks for at once is read by one `BatchGetItem`. It costs the units that a
//! `GetItem` for each would, and the work and the connection of one call.
//!
//! A read waits for one turn of its task, in which all that runs beside it asks too: reads that are joined anywhere in a
//! request, as by `tokio::try_join!`, are gathered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared};

use super::error::Error;

/// An item in the SDK's form.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The most items that one `BatchGetItem` reads.
pub(super) const MAX_ITEMS: usize = 100;

/// The partition and the sort key of an item.
type Key = (String, String);

/// The items that a call finds. All who asked share it, and each takes its own.
type Found = BoxFuture<'static, Result<Arc<Mutex<HashMap<Key, Item>>>, Error>>;

/// The reads of one request.
#[derive(Clone, Default)]
pub(super) struct GatheredReads(Arc<Mutex<Option<Batch>>>);

/// The call that was last prepared.
struct Batch {
    /// The keys that it will ask for; `None` once it is made.
    asked: Arc<Mutex<Option<HashMap<Key, Item>>>>,
    /// It ends when nobody waits for it.
    found: WeakShared<Found>,
}

impl GatheredReads {
    /// Reads at most [`MAX_ITEMS`] items by these keys, of which none is given twice; in no order, and without those that do not
    /// exist. `read` makes the call, unless these keys find room in one that is about to be made.
    ///
    /// # Errors
    /// Those of `read`, the same for all who share the call.
    pub(super) async fn read<F>(
        &self,
        keys: Vec<Item>,
        read: impl FnOnce(Vec<Item>) -> F + Send + 'static,
    ) -> Result<Vec<Item>, Error>
    where
        F: Future<Output = Result<Vec<Item>, Error>> + Send + 'static,
    {
        let keys: HashMap<Key, Item> = keys.into_iter().map(with_key).collect();
        let own: Vec<Key> = keys.keys().cloned().collect();
        let found = self.ask(keys, read);
        tokio::task::yield_now().await;
        let found = found.await?;
        let mut found = lock(&found);
        Ok(own.iter().filter_map(|key| found.remove(key)).collect())
    }

    fn ask<F>(
        &self,
        keys: HashMap<Key, Item>,
        read: impl FnOnce(Vec<Item>) -> F + Send + 'static,
    ) -> Shared<Found>
    where
        F: Future<Output = Result<Vec<Item>, Error>> + Send + 'static,
    {
        let mut last = lock(&self.0);
        if let Some(batch) = last.as_ref()
            && let Some(found) = batch.found.upgrade()
            && let Some(asked) = lock(&batch.asked).as_mut()
            && asked.len() + keys.len() <= MAX_ITEMS
            && !keys.keys().any(|key| asked.contains_key(key))
        {
            asked.extend(keys);
            return found;
        }
        let asked = Arc::new(Mutex::new(Some(keys)));
        let to_ask = asked.clone();
        let found = async move {
            let keys = lock(&to_ask).take().unwrap_or_default();
            let items = read(keys.into_values().collect()).await?;
            Ok(Arc::new(Mutex::new(items.into_iter().map(with_key).collect())))
        };
        let found = found.boxed().shared();
        *last = found.downgrade().map(|found| Batch { asked, found });
        found
    }
}

/// An item, or its key alone, behind its key's texts.
fn with_key(item: Item) -> (Key, Item) {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default();
    ((text("pk"), text("sk")), item)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A table in which every item exists but `N`, and the sort keys that each call asked for.
    #[derive(Clone, Default)]
    struct Table {
        reads: GatheredReads,
        calls: Arc<Mutex<Vec<Vec<String>>>>,
        fails: bool,
    }

    impl Table {
        async fn read(&self, sort_keys: &[&str]) -> Result<Vec<String>, Error> {
            let text = |text: &str| AttributeValue::S(text.to_owned());
            let key = |sk: &&str| Item::from([("pk".to_owned(), text("P")), ("sk".to_owned(), text(sk))]);
            let keys = sort_keys.iter().map(key).collect();
            let table = self.clone();
            let found = self.reads.read(keys, async move |keys| table.call(keys).await).await?;
            Ok(sorted(found))
        }

        async fn call(self, keys: Vec<Item>) -> Result<Vec<Item>, Error> {
            lock(&self.calls).push(sorted(keys.clone()));
            tokio::task::yield_now().await;
            if self.fails {
                return Err(Error::unavailable("throttled"));
            }
            Ok(keys.into_iter().filter(|key| with_key(key.clone()).0.1 != "N").collect())
        }

        fn calls(&self) -> Vec<Vec<String>> {
            lock(&self.calls).clone()
        }
    }

    fn sorted(items: Vec<Item>) -> Vec<String> {
        let mut sort_keys: Vec<String> = items.into_iter().map(|item| with_key(item).0.1).collect();
        sort_keys.sort();
        sort_keys
    }

    #[tokio::test]
    async fn what_is_asked_for_at_once_is_one_call_and_what_comes_later_another() {
        let table = Table::default();
        let nested =
            async { tokio::try_join!(table.read(&["B"]), table.read(&["C", "D"]), table.read(&["N"])) };
        let (a, (b, two, none)) = tokio::try_join!(table.read(&["A"]), nested).unwrap();
        assert_eq!((a, b), (vec!["A".to_owned()], vec!["B".to_owned()]));
        assert_eq!((two, none), (vec!["C".to_owned(), "D".to_owned()], vec![]));
        assert_eq!(table.read(&["E"]).await.unwrap(), ["E"]);
        assert_eq!(table.calls(), [vec!["A", "B", "C", "D", "N"], vec!["E"]]);
    }

    #[tokio::test]
    async fn one_item_is_there_for_all_who_ask_for_it() {
        let table = Table::default();
        let (first, second) = tokio::try_join!(table.read(&["A"]), table.read(&["A", "B"])).unwrap();
        assert_eq!((first, second), (vec!["A".to_owned()], vec!["A".to_owned(), "B".to_owned()]));
        assert_eq!(table.calls().len(), 2, "DynamoDB refuses a batch with one key twice");
    }

    #[tokio::test]
    async fn a_call_asks_for_a_hundred_items_at_most() {
        let table = Table::default();
        let many: Vec<String> = (0..MAX_ITEMS).map(|n| format!("{n:03}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let (one, found) = tokio::try_join!(table.read(&["A"]), table.read(&many)).unwrap();
        assert_eq!((one.len(), found), (1, many.iter().map(|sk| (*sk).to_owned()).collect()));
        assert_eq!(BTreeSet::from_iter(table.calls().iter().map(Vec::len)), BTreeSet::from([1, MAX_ITEMS]));
    }

    #[tokio::test]
    async fn who_gives_up_takes_nothing_from_the_others() {
        let table = Table::default();
        for turns in 0..2 {
            let mut given_up = Box::pin(table.read(&["A"]));
            let mut other = Box::pin(table.read(&["B"]));
            assert!((&mut given_up).now_or_never().is_none() && (&mut other).now_or_never().is_none());
            for _ in 0..turns {
                assert!((&mut given_up).now_or_never().is_none());
            }
            drop(given_up);
            assert_eq!(other.await.unwrap(), ["B"], "after {turns} turns");
        }
    }

    #[tokio::test]
    async fn a_call_that_nobody_waits_for_any_more_is_given_up() {
        let table = Table::default();
        let mut given_up = Box::pin(table.read(&["A"]));
        assert!((&mut given_up).now_or_never().is_none());
        drop(given_up);
        assert_eq!(table.read(&["B"]).await.unwrap(), ["B"]);
        assert_eq!(table.calls(), [["B"]]);
        let last = lock(&table.reads.0);
        assert!(last.as_ref().is_some_and(|batch| batch.found.upgrade().is_none()), "nothing is kept");
    }

    #[tokio::test]
    async fn an_error_is_for_all_who_asked() {
        let table = Table { fails: true, ..Table::default() };
        let (a, b) = tokio::join!(table.read(&["A"]), table.read(&["B"]));
        for result in [a, b] {
            assert!(matches!(result, Err(Error::Unavailable(_))));
        }
        assert_eq!(table.calls(), [["A", "B"]]);
    }
}
