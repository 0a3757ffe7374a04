//! Which module may import which: no import runs upward, and there is no circle.
//!
//! The module of a folder names its children to list them, so such a reference is no import.

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
            &["http", "metrics", "route"],
            &["operation"],
            &["endpoint"],
            // Every resource is of this row.
            &["lambda", "docks", "recipients", "secrets"],
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

/// All paths in the code of `module`, from the top of the crate.
fn paths(module: &str, code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut inline = String::new();
    for statement in code.split_inclusive(';') {
        match statement.rfind("use ").filter(|at| *at == 0 || statement[..*at].ends_with(['\n', ' ', ')'])) {
            Some(at)
                if statement[at..].starts_with("use crate") || statement[at..].starts_with("use super") =>
            {
                flatten(statement[at + 4..].trim_end_matches(';'), &mut paths);
                inline.push_str(&statement[..at]);
            }
            _ => inline.push_str(statement),
        }
    }
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let words = inline
        .split(|c| !is_path(c))
        .filter(|word| word.starts_with("crate::") || word.starts_with("super::"));
    paths.extend(words.map(str::to_owned));
    let parent = module.rsplit_once("::").map_or("", |(parent, _)| parent);
    paths
        .iter()
        .map(|path| match path.strip_prefix("crate::") {
            Some(path) => path.to_owned(),
            None => format!("{parent}::{}", path.trim_start_matches("super::"))
                .trim_start_matches("::")
                .to_owned(),
        })
        .collect()
}

/// Which modules each module imports.
fn imports(modules: &BTreeMap<String, String>) -> BTreeMap<&str, BTreeSet<&str>> {
    let target = |path: &str| {
        let longest = modules.keys().filter(|name| path == **name || path.starts_with(&format!("{name}::")));
        longest.max_by_key(|name| name.len()).map(String::as_str)
    };
    let of = |(name, code): (&String, &String)| -> Vec<&str> {
        let targets = paths(name, code).iter().filter_map(|path| target(path)).collect::<Vec<_>>();
        targets
            .into_iter()
            .filter(|target| *target != name && !target.starts_with(&format!("{name}::")))
            .collect()
    };
    modules.iter().map(|module| (module.0.as_str(), of(module).into_iter().collect())).collect()
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
    for name in ["lambda_http", "lambda_runtime", "http ", "axum"] {
        assert!(!tree.lines().any(|line| line.starts_with(name)), "docyard-core depends on {name}");
    }
}
