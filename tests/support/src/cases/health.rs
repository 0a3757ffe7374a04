//! The cases of the service itself.

use super::{Case, case};

pub(super) fn cases() -> Vec<Case> {
    vec![case("get-health").calls(&[]).repeated(200).measured()]
}
