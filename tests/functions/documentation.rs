//! What holds for every page of the documentation.

use docyard_test_support::root;

/// The pages: those at the top, and those in `docs/`.
fn pages() -> Vec<(String, String)> {
    let files = ["", "docs"].into_iter().flat_map(|folder| std::fs::read_dir(root().join(folder)).unwrap());
    let pages =
        files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|of| of == "md"));
    pages.map(|path| (path.display().to_string(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The lines of a page's blocks of shell commands.
fn commands(page: &str) -> Vec<&str> {
    let mut is_inside = false;
    let is_command = |line: &&str| {
        let mark = line.trim_start().strip_prefix("```");
        is_inside = mark.map_or(is_inside, |language| language == "sh");
        is_inside && mark.is_none()
    };
    page.lines().filter(is_command).collect()
}

/// An interactive zsh, the shell of macOS, takes a `#` for a word like any other.
#[test]
fn no_block_of_commands_has_a_comment() {
    let mut blocks = 0;
    for (path, page) in pages() {
        for line in commands(&page) {
            blocks += 1;
            assert!(!line.split_whitespace().any(|word| word.starts_with('#')), "{path}: {line}");
        }
    }
    assert!(blocks > 50, "{blocks} commands: were they read?");
}
