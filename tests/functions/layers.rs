//! Which module may import which: no import runs upward, and there is no circle.
//!
//! What a module publishes of its children, by `pub use` or as the list of its endpoints, is no import.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use docyard_test_support::root;

/// The modules of a crate, the lowest first. A module may import those of the rows above its own.
struct Layers {
    source: &'static str,
    rows: &'static [&'static [&'static str]],
}

const CRATES: &[Layers] = &[
    Layers {
        source: "shared/src",
        rows: &[&["aws", "values"], &["model", "request_record"], &["schema", "store"], &["context"]],
    },
    Layers {
        source: "functions/src",
        rows: &[
            &["http", "metrics", "route", "stream"],
            &["operation"],
            &["endpoint"],
            &["sealer", "worker"],
            // Every resource is of this row.
            &[
                "lambda",
                "access",
                "artifacts",
                "audit",
                "certificates",
                "docks",
                "groups",
                "health",
                "policies",
                "recipients",
                "retrieval",
                "secrets",
                "tokens",
            ],
            &["endpoints"],
            &["openapi"],
        ],
    },
];

/// The crate's modules, `http::body` for `http/body.rs`, each with its code without comments and tests.
fn modules(source: &Path) -> BTreeMap<String, String> {
    fn add(folder: &Path, prefix: &str, modules: &mut BTreeMap<String, String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            if path.is_dir() {
                if stem != "bin" && stem != "roots" {
                    add(&path, &format!("{prefix}{stem}::"), modules);
                }
            } else {
                let name = if stem == "mod" {
                    prefix.trim_end_matches("::").to_owned()
                } else {
                    format!("{prefix}{stem}")
                };
                let code = std::fs::read_to_string(&path).unwrap();
                let code = code.split("#[cfg(test)]").next().unwrap();
                let lines = code.lines().map(|line| line.split("//").next().unwrap());
                modules.insert(name, lines.collect::<Vec<_>>().join("\n"));
            }
        }
    }
    let mut modules = BTreeMap::new();
    add(source, "", &mut modules);
    modules.remove("lib");
    modules
}

/// The paths that a `use` tree names: `a::{b, c::{d}}` is `a::b` and `a::c::d`.
fn flatten(tree: &str, paths: &mut Vec<String>) {
    let Some((prefix, rest)) = tree.split_once('{') else {
        paths.push(tree.trim().to_owned());
        return;
    };
    let inside = rest.rsplit_once('}').unwrap().0;
    let (mut depth, mut start) = (0, 0);
    for (at, character) in inside.char_indices().chain([(inside.len(), ',')]) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = inside[start..at].trim();
                if !part.is_empty() {
                    flatten(&format!("{}{part}", prefix.trim()), paths);
                }
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// All paths in the code of `module` that begin with `crate`, `super` or one of its own `children`, from the top of the
/// crate. The names by which a module publishes its children, `pub use` and the list of its endpoints, are no imports.
fn paths(module: &str, code: &str, children: &[&str]) -> Vec<String> {
    let starts = |path: &str| {
        let first = path.split("::").next().unwrap();
        path.contains("::") && (["crate", "super"].contains(&first) || children.contains(&first))
    };
    let mut paths = Vec::new();
    let mut rest = String::new();
    for statement in code.split_inclusive(';') {
        // Not in a text.
        let begins_a_line = |at: &usize| {
            let before = statement[..*at].rsplit('\n').next().unwrap().trim();
            (*at == 0 || statement[..*at].contains('\n')) && (before.is_empty() || before.starts_with("pub"))
        };
        match statement.rfind("use ").filter(begins_a_line) {
            Some(at) => {
                let is_published = statement[..at].trim_end().ends_with("pub");
                let mut used = Vec::new();
                flatten(statement[at + 4..].trim_end_matches(';'), &mut used);
                paths.extend(used.into_iter().filter(|path| !is_published && starts(path)));
                rest.push_str(&statement[..at]);
            }
            None => rest.push_str(statement),
        }
    }
    let words = rest.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
    paths.extend(words.filter(|word| starts(word) && !word.ends_with("::ENDPOINT")).map(str::to_owned));
    let absolute = |path: &String| {
        if let Some(path) = path.strip_prefix("crate::") {
            return path.to_owned();
        }
        let (mut base, mut path) = (module, path.as_str());
        while let Some(rest) = path.strip_prefix("super::") {
            base = base.rsplit_once("::").map_or("", |(parent, _)| parent);
            path = rest;
        }
        format!("{base}::{path}").trim_start_matches("::").to_owned()
    };
    paths.iter().map(absolute).collect()
}

/// Which modules each module imports.
fn imports(modules: &BTreeMap<String, String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let target = |path: &str| {
        let longest = modules.keys().filter(|name| path == **name || path.starts_with(&format!("{name}::")));
        longest.max_by_key(|name| name.len()).map(String::as_str)
    };
    let of = |(name, code): (&String, &String)| -> BTreeSet<&str> {
        let prefix = format!("{name}::");
        let children: Vec<&str> = modules.keys().filter_map(|module| module.strip_prefix(&prefix)).collect();
        let paths = paths(name, code, &children);
        paths.iter().filter_map(|path| target(path)).filter(|target| *target != name).collect()
    };
    modules.iter().map(|module| (module.0.as_str(), of(module))).collect()
}

fn circle<'a>(
    at: &'a str,
    imports: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    path: &mut Vec<&'a str>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<&'a str>> {
    if let Some(start) = path.iter().position(|module| *module == at) {
        return Some(path[start..].to_vec());
    }
    if !done.insert(at) {
        return None;
    }
    path.push(at);
    let found = imports[at].iter().find_map(|next| circle(next, imports, path, done));
    path.pop();
    found
}

#[test]
fn no_import_runs_upward_and_there_is_no_circle() {
    for Layers { source, rows } in CRATES {
        let modules = modules(&root().join(source));
        let imports = imports(&modules);
        let edges: usize = imports.values().map(BTreeSet::len).sum();
        assert!(
            edges > modules.len(),
            "{source}: {edges} imports of {} modules: were they read?",
            modules.len()
        );
        let row = |module: &str| {
            let top = module.split("::").next().unwrap();
            let row = rows.iter().position(|row| row.contains(&top));
            row.unwrap_or_else(|| panic!("{source}: {top} is in no row of tests/functions/layers.rs"))
        };
        for (module, targets) in &imports {
            let top = |module: &str| module.split("::").next().unwrap().to_owned();
            for target in targets {
                let is_inside = top(module) == top(target);
                assert!(is_inside || row(target) < row(module), "{source}: {module} imports {target}");
            }
        }
        let mut done = BTreeSet::new();
        for module in imports.keys() {
            let circle = circle(module, &imports, &mut Vec::new(), &mut done);
            assert!(circle.is_none(), "{source}: a circle of imports: {circle:?}");
        }
    }
}

#[test]
fn the_domain_and_its_storage_know_no_http() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package=docyard-core", "--edges=normal", "--depth=1", "--prefix=none"])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("aws-sdk-dynamodb"), "the tree was not read: {tree}");
    for name in ["lambda_http", "lambda_runtime", "axum"] {
        assert!(!tree.lines().any(|line| line.starts_with(name)), "docyard-core depends on {name}");
    }
    // The calls of S3 are HTTP.
    for (module, code) in modules(&root().join("shared/src")) {
        assert!(module.starts_with("aws") || !code.contains("use http::"), "{module} knows HTTP");
    }
}

#[test]
fn a_circle_and_an_upward_import_are_seen() {
    let module = |name: &str, code: &str| (name.to_owned(), code.to_owned());
    let modules = BTreeMap::from([
        module("store", "mod retry;\npub use docks::Dock;\nfn a() { docks::b() }"),
        module("store::docks", "use super::{Store, retry::MAX};\n"),
        module("store::retry", "use crate::values::random;\n"),
        module("values::random", "fn f() { super::super::store::x() }"),
    ]);
    let imports = imports(&modules);
    assert_eq!(imports["store"], ["store::docks"].into());
    assert_eq!(imports["store::docks"], ["store", "store::retry"].into());
    assert_eq!(imports["store::retry"], ["values::random"].into());
    assert_eq!(imports["values::random"], ["store"].into());
    assert!(circle("store", &imports, &mut Vec::new(), &mut BTreeSet::new()).is_some());
}
