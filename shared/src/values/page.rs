//! Pages of a list: what is asked for, and what comes back.

/// How many items a page has if the request does not say.
pub const DEFAULT_LIMIT: usize = 100;
/// The most items on a page.
pub const MAX_LIMIT: usize = 1000;

/// Which page of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The most items on the page, 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// The key of the last item before the page; `None` asks for the first page.
    pub after: Option<String>,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items, at most as many as were asked for.
    pub items: Vec<T>,
    /// The key of the last item if there are more behind it.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A page without items, the last of its list.
    pub fn empty() -> Self {
        Self { items: Vec::new(), next: None }
    }

    /// The page of `items`, of which one more than `limit` was asked for, to see whether there are more. `is_last` says
    /// that nothing is stored behind them; `key` returns an item's key.
    pub(crate) fn of(mut items: Vec<T>, is_last: bool, limit: usize, key: impl Fn(&T) -> String) -> Self {
        let has_more = items.len() > limit || !is_last;
        items.truncate(limit);
        let next = items.last().filter(|_| has_more).map(key);
        Self { items, next }
    }
}
