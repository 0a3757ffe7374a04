//! Every endpoint, resource by resource: the one list that the local server, the document, the template and the tests
//! read.

use crate::endpoint::{Endpoint, Endpoints};
use crate::route::is_same;
use crate::{
    access, artifacts, audit, certificates, docks, groups, health, policies, recipients, retrieval, secrets,
    tokens,
};

/// Every resource, in the order of the documentation.
pub const RESOURCES: &[&Endpoints] = &[
    &docks::ENDPOINTS,
    &recipients::ENDPOINTS,
    &secrets::ENDPOINTS,
    &certificates::ENDPOINTS,
    &policies::ENDPOINTS,
    &groups::ENDPOINTS,
    &access::ENDPOINTS,
    &artifacts::ENDPOINTS,
    &tokens::ENDPOINTS,
    &retrieval::ENDPOINTS,
    &audit::ENDPOINTS,
    &health::ENDPOINTS,
];

/// Every endpoint, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Endpoint> {
    RESOURCES.iter().flat_map(|resource| resource.list).copied()
}

/// Returns the endpoint of this name. In a constant, as in its binary, a name without an endpoint does not compile.
///
/// # Panics
/// If no endpoint has this name.
#[expect(clippy::panic, clippy::indexing_slicing, reason = "evaluated when the binary is compiled")]
pub const fn named(name: &str) -> &'static Endpoint {
    let mut resource = 0;
    while resource < RESOURCES.len() {
        let endpoints = RESOURCES[resource].list;
        let mut endpoint = 0;
        while endpoint < endpoints.len() {
            if is_same(endpoints[endpoint].name.as_bytes(), name.as_bytes()) {
                return endpoints[endpoint];
            }
            endpoint += 1;
        }
        resource += 1;
    }
    panic!("no endpoint has this name")
}
