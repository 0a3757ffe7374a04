//! What a function is made of: each crate is code to load at a cold start, and code to trust.

use std::collections::BTreeSet;
use std::process::Command;

/// The most crates that a function may depend on; macros count, what build scripts use does not. Before raising it,
/// look at what the new ones are for: `cargo tree -p docyard-functions -e normal`.
const MOST: usize = 159;

fn crates() -> BTreeSet<String> {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package=docyard-functions", "--edges=normal", "--prefix=none"])
        .args(["--target=x86_64-unknown-linux-gnu", "--format={p}"])
        .current_dir(docyard_test_support::root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8(tree.stdout).unwrap();
    // `name v1.2.3 (path) (*)`
    tree.lines().map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn a_function_links_no_more_crates_than_it_did() {
    let crates = crates();
    assert!(crates.len() <= MOST, "{} crates: {crates:?}", crates.len());
    assert!(crates.iter().any(|name| name.starts_with("rustls ")), "the tree was not read: {crates:?}");
}

#[test]
fn a_function_can_neither_read_the_systems_certificates_nor_ask_for_metadata_or_credentials() {
    let crates = crates();
    let unwanted = [
        // The operating system's certificate store, and other roots than AWS's.
        "rustls-native-certs",
        "rustls-platform-verifier",
        "openssl-probe",
        "webpki-roots",
        // The chain of credentials: profiles, the instance metadata service, STS, SSO.
        "aws-config",
        "aws-sdk-sts",
        // Second implementations of what is there already.
        "aws-smithy-http-client",
        "aws-lc-rs",
        "openssl",
        "native-tls",
    ];
    for name in unwanted {
        let found = crates.iter().find(|found| found.split(' ').next() == Some(name));
        assert_eq!(found, None, "see `cargo tree -p docyard-functions -i {name}`");
    }
}
