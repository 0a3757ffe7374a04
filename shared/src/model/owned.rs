//! Ownership: which account a resource belongs to.

use crate::values::id::AccountId;

/// A resource that belongs to an account.
pub trait Owned {
    /// The account.
    fn owner(&self) -> AccountId;
}

/// A resource and what was read beside it.
impl<T: Owned, U> Owned for (T, U) {
    fn owner(&self) -> AccountId {
        self.0.owner()
    }
}
