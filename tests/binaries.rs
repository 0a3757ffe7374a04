//! Where Cargo put the functions' binaries.

macro_rules! binaries {
    ($($function:literal),* $(,)?) => {
        /// The path of a function's binary; Cargo names it at compile time, and only by a literal.
        pub fn binary(function: &str) -> &'static str {
            match function {
                $($function => env!(concat!("CARGO_BIN_EXE_", $function)),)*
                _ => panic!("no binary is known for {function}: name it in tests/binaries.rs"),
            }
        }
    };
}

binaries![
    "create-dock",
    "list-docks",
    "get-dock",
    "update-dock",
    "create-recipient",
    "list-recipients",
    "get-recipient",
    "update-recipient",
    "delete-recipient",
    "generate-secret",
    "list-secrets",
    "rotate-secret",
    "revoke-secret",
    "verify-secret",
];
