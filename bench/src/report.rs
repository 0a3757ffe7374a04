//! The tables and plots, and their place in `docs/performance.md`.

use std::path::Path;
use std::process::Command;

use docyard_core::values::clock::Clock;
use plotters::prelude::*;

use crate::comparison::{Part, ROUNDS, Result};
use crate::count::Counts;
use crate::series::Series;

/// What was measured of one function.
pub struct Measured {
    /// The function's name.
    pub function: &'static str,
    /// All programs with a whole CPU.
    pub whole: Vec<Result>,
    /// Those that were also measured on a share of one.
    pub share: Vec<Result>,
    /// Instructions and allocations, if they could be counted.
    pub counts: Option<Counts>,
}

impl Measured {
    fn floor(&self, part: Part) -> Option<&Result> {
        self.whole.iter().find(|result| result.part == part)
    }

    fn ours(results: &[Result]) -> &Result {
        results.iter().find(|result| result.part == Part::Endpoint).unwrap()
    }

    fn peers(results: &[Result]) -> impl Iterator<Item = &Result> {
        results.iter().filter(|result| result.part == Part::Endpoint).skip(1)
    }

    fn has_peers(&self) -> bool {
        Self::peers(&self.whole).next().is_some()
    }
}

/// All tables, in Markdown.
pub fn speed(endpoints: &[Measured]) -> String {
    let mut text = machine();
    text += &format!(
        "In {ROUNDS} rounds by turns. A ratio is one of medians, and behind it stand the least and the greatest ratio of a single round. \
         What misses its budget is **bold**.\n\n"
    );
    text += "### Against the floor\n\n";
    for endpoint in endpoints {
        if let (Some(hello), Some(unconnected)) =
            (endpoint.floor(Part::Hello), endpoint.floor(Part::Unconnected))
        {
            let ratio = unconnected.times.poll.ratio_to(&hello.times.poll);
            text += &format!(
                "Start to first poll, without the connections, over `hello`'s (at most 1.3): {}.\n\n",
                judged(ratio.to_string(), ratio.all <= 1.3)
            );
        }
    }
    text += &table(
        "function | start to first answer, ms | ÷ `bare` (≤ 1.1) | warm, ms | ÷ its calls alone (≤ 1.1) | ÷ `bare` | binary (≤ 4 MB) | \
         zip (≤ 2 MB) | resident, started; loaded (≤ 20 MB) | instructions; allocations a request",
        endpoints.iter().map(against_floor),
    );
    text += "### Against the same endpoint in other languages\n\n";
    text += "How many times slower or larger the other program is (1 = equal).\n\n";
    text += &table(
        "endpoint | program | start to first answer (≥ 20) | warm | resident, loaded (≥ 4) | first answer on a share of a CPU (≥ 20) | \
         warm on a share of a CPU (≥ 3)",
        endpoints.iter().flat_map(against_peers),
    );
    text += "### Starts on this machine, in milliseconds: median (p99)\n\n";
    text += &table(
        "endpoint | program | start to first poll | start to first answer | first answer itself | on a share: start to first answer | \
         on a share: first answer itself",
        endpoints.iter().filter(|endpoint| endpoint.has_peers()).flat_map(starts),
    );
    text += "### Warm requests on this machine, in milliseconds\n\n";
    text += &table(
        "endpoint | program | p50 | p90 | p99 | on a share: p50 | p90 | p99 | resident, started; loaded | zip",
        endpoints.iter().filter(|endpoint| endpoint.has_peers()).flat_map(warm),
    );
    text
}

/// When, on what machine, and by which compiler this was measured, in Markdown.
pub fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let rustc = Command::new("rustc").arg("--version").output().unwrap().stdout;
    format!(
        "Measured on {}: {}, {} cores, Linux {}, {}.\n\n",
        Clock::system().now().date(),
        model.map_or(std::env::consts::ARCH, |(_, model)| model),
        std::thread::available_parallelism().unwrap(),
        std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        String::from_utf8_lossy(&rustc).trim(),
    )
}

fn against_floor(endpoint: &Measured) -> Vec<String> {
    let ours = Measured::ours(&endpoint.whole);
    let times = &ours.times;
    let bare = endpoint.floor(Part::Bare).map(|bare| &bare.times);
    let ratio = |ours: &Series, bare: Option<&Series>, most: f64| {
        let ratio = bare.map(|bare| ours.ratio_to(bare));
        ratio.map_or("–".to_owned(), |ratio| judged(ratio.to_string(), ratio.all <= most))
    };
    let binary = ours.program.binary_bytes.unwrap();
    vec![
        ours.program.name.clone(),
        format!("{:.2}", times.answer.quantile(0.5)),
        ratio(&times.answer, bare.map(|bare| &bare.answer), 1.1),
        format!("{:.2}", times.warm.quantile(0.5)),
        ratio(&times.warm, bare.map(|bare| &bare.calls), 1.1),
        ratio(&times.warm, bare.map(|bare| &bare.warm), f64::INFINITY),
        judged(megabytes(binary as u64), binary <= 4_000_000),
        judged(megabytes(ours.program.zip_bytes as u64), ours.program.zip_bytes <= 2_000_000),
        judged(memory(ours), ours.memory_loaded <= 20_000_000),
        counted(endpoint.counts.as_ref()),
    ]
}

/// Instructions and allocations of a request.
pub fn counted(counts: Option<&Counts>) -> String {
    counts.map_or("–".to_owned(), |counts| {
        format!("{:.2} M; {:.0}", counts.instructions / 1e6, counts.allocations)
    })
}

fn against_peers(endpoint: &Measured) -> Vec<Vec<String>> {
    let ours = Measured::ours(&endpoint.whole);
    let ours_on_share = endpoint.share.iter().find(|result| result.part == Part::Endpoint);
    let row = |(peer, on_share): (&Result, Option<&Result>)| {
        let ratio_on_share = |pick: fn(&Result) -> &Series, least: f64| match on_share.zip(ours_on_share) {
            Some((peer, ours)) => {
                let ratio = pick(peer).ratio_to(pick(ours));
                judged(ratio.to_string(), ratio.all >= least)
            }
            None => "–".to_owned(),
        };
        let answer = peer.times.answer.ratio_to(&ours.times.answer);
        let warm = peer.times.warm.ratio_to(&ours.times.warm);
        let memory = peer.memory_loaded as f64 / ours.memory_loaded as f64;
        vec![
            endpoint.function.to_owned(),
            peer.program.name.clone(),
            judged(answer.to_string(), answer.all >= 20.0),
            warm.to_string(),
            judged(format!("{memory:.1}"), memory >= 4.0),
            ratio_on_share(|result| &result.times.first, 20.0),
            ratio_on_share(|result| &result.times.warm, 3.0),
        ]
    };
    pairs(endpoint).filter(|(result, _)| result.part == Part::Endpoint).skip(1).map(row).collect()
}

/// Each result with the one on a share of a CPU, if there is one.
fn pairs(endpoint: &Measured) -> impl Iterator<Item = (&Result, Option<&Result>)> {
    endpoint
        .whole
        .iter()
        .map(|result| (result, endpoint.share.iter().find(|share| share.program.name == result.program.name)))
}

fn starts(endpoint: &Measured) -> Vec<Vec<String>> {
    let row = |(result, share): (&Result, Option<&Result>)| {
        let times = &result.times;
        vec![
            endpoint.function.to_owned(),
            result.program.name.clone(),
            median_and_p99(&times.poll),
            median_and_p99(&times.answer),
            median_and_p99(&times.first),
            share.map_or("–".to_owned(), |share| median_and_p99(&share.times.answer)),
            share.map_or("–".to_owned(), |share| median_and_p99(&share.times.first)),
        ]
    };
    pairs(endpoint).map(row).collect()
}

fn warm(endpoint: &Measured) -> Vec<Vec<String>> {
    let row = |name: &str, whole: &Series, share: Option<&Series>, result: Option<&Result>| {
        let mut row = vec![endpoint.function.to_owned(), name.to_owned()];
        for series in [Some(whole), share] {
            row.extend([0.5, 0.9, 0.99].map(|part| {
                series.map_or("–".to_owned(), |series| format!("{:.2}", series.quantile(part)))
            }));
        }
        row.push(result.map_or("–".to_owned(), memory));
        row.push(result.map_or("–".to_owned(), |result| megabytes(result.program.zip_bytes as u64)));
        row
    };
    let mut rows = Vec::new();
    for (result, share) in pairs(endpoint).filter(|(result, _)| result.part != Part::Unconnected) {
        let (times, on_share) = (&result.times, share.map(|share| &share.times));
        rows.push(row(&result.program.name, &times.warm, on_share.map(|times| &times.warm), Some(result)));
        if result.part == Part::Bare {
            rows.push(row("the calls in `bare`", &times.calls, on_share.map(|times| &times.calls), None));
        }
    }
    rows
}

fn median_and_p99(series: &Series) -> String {
    if series.is_empty() {
        return "–".to_owned();
    }
    format!("{:.2} ({:.2})", series.quantile(0.5), series.quantile(0.99))
}

/// Bytes in MB.
pub fn megabytes(bytes: u64) -> String {
    if bytes < 100_000 {
        format!("{:.3} MB", bytes as f64 / 1e6)
    } else {
        format!("{:.2} MB", bytes as f64 / 1e6)
    }
}

fn memory(result: &Result) -> String {
    format!("{:.1}; {:.1} MB", result.memory_started as f64 / 1e6, result.memory_loaded as f64 / 1e6)
}

fn judged(text: String, is_met: bool) -> String {
    if is_met { text } else { format!("**{text}**") }
}

/// A table in Markdown.
pub fn table(head: &str, rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let columns = head.split('|').count();
    let mut text = format!("| {head} |\n|{}\n", "---|".repeat(columns));
    for row in rows {
        text += &format!("| {} |\n", row.join(" | "));
    }
    text + "\n"
}

/// Draws how long the programs of the endpoints that have peers take, shortest bar best.
pub fn plots(endpoints: &[Measured], directory: &Path) {
    let bars = |pick: fn(&Result) -> &Series, of: fn(&Measured) -> &Vec<Result>| {
        let mut bars = Vec::new();
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.has_peers()) {
            for result in of(endpoint).iter().filter(|result| result.part == Part::Endpoint) {
                let is_ours = result.program.binary_bytes.is_some();
                let name = if is_ours { "Docyard Access" } else { &result.program.name };
                bars.push((format!("{}, {name}", endpoint.function), pick(result).quantile(0.5)));
            }
        }
        bars
    };
    let answer = bars(|result| &result.times.answer, |endpoint| &endpoint.whole);
    draw(&directory.join("start.svg"), "Start to first answer, milliseconds (logarithmic)", &answer);
    let warm = bars(|result| &result.times.warm, |endpoint| &endpoint.share);
    let caption = "A warm request on the CPU share of 128 MB, milliseconds (logarithmic)";
    draw(&directory.join("warm-128-mb.svg"), caption, &warm);
}

fn draw(file: &Path, caption: &str, bars: &[(String, f64)]) {
    if bars.is_empty() {
        return;
    }
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let root = SVGBackend::new(file, (900, 70 + 36 * bars.len() as u32)).into_drawing_area();
    root.fill(&WHITE).unwrap();
    let most = bars.iter().map(|(_, value)| *value).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&root)
        .caption(caption, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(290)
        .build_cartesian_2d((0.1..most * 3.0).log_scale(), 0.0..bars.len() as f64)
        .unwrap();
    let name = |y: &f64| {
        // A label for the middle of each bar.
        let at = (bars.len() as f64 - y).floor() as usize;
        bars.get(at).filter(|_| y.fract() != 0.0).map_or(String::new(), |(name, _)| name.clone())
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .y_labels(2 * bars.len() + 1)
        .y_label_formatter(&name)
        .label_style(("sans-serif", 14))
        .draw()
        .unwrap();
    for (at, (name, value)) in bars.iter().enumerate() {
        let y = (bars.len() - at) as f64;
        let colour =
            if name.ends_with("Docyard Access") { RGBColor(0, 114, 178) } else { RGBColor(150, 150, 150) };
        let bar = Rectangle::new([(0.1, y - 0.8), (*value, y - 0.2)], colour.filled());
        let label = Text::new(format!("{value:.1}"), (*value * 1.05, y - 0.35), ("sans-serif", 14));
        chart.draw_series([bar]).unwrap();
        chart.draw_series([label]).unwrap();
    }
    root.present().unwrap();
}

/// Puts `text` between the two comments of that name in `docs/performance.md`.
pub fn put(root: &Path, name: &str, text: &str) {
    let file = root.join("docs/performance.md");
    let document = std::fs::read_to_string(&file).unwrap();
    let (begin, end) =
        (format!("<!-- {name}: written by docyard-bench -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = document.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    std::fs::write(&file, format!("{before}{begin}\n{text}{end}{after}")).unwrap();
    eprintln!("written into docs/performance.md");
}
