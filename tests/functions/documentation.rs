//! What holds for every page of the documentation.

use docyard_core::model::recipe::template;
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

/// The four standard recipes stand on the page on policies as the API's templates have them.
#[test]
fn the_page_on_policies_shows_the_standard_recipes() {
    let page = docyard_test_support::read("docs/policies.md");
    let blocks = page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let shown: Vec<serde_json::Value> = blocks.map(|json| serde_json::from_str(json).unwrap()).collect();
    let insurance = template::ALL.iter().filter(|template| template.category == "insurance");
    let standard: Vec<_> =
        insurance.map(|template| serde_json::to_value((template.recipe)()).unwrap()).collect();
    assert_eq!(shown, standard);
}
