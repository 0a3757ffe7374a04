//! What is logged, and at which level.
//!
//! Our own level is `AWS_LAMBDA_LOG_LEVEL`, as Lambda sets it, or else `RUST_LOG`: one word, `info` if neither says.
//! Dependencies log at most at `error`: at `trace` some print whole requests, and at `warn` the SDK reports every
//! condition that did not hold, which is a plain 409 here.

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON object, for CloudWatch; on the standard output.
    Json,
    /// Text, for people; on the standard error output.
    Text,
}

/// Starts logging for this process, also of panics. A second call changes nothing.
pub fn init(format: Format) {
    let layer = match format {
        Format::Json => {
            fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
        Format::Text => fmt::layer().with_ansi(false).with_writer(std::io::stderr).with_target(false).boxed(),
    };
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter(own_level()))).try_init();
    std::panic::set_hook(Box::new(log_panic));
}

/// Logs where a panic occurred, not its message, which can contain a caller's data.
fn log_panic(panic: &std::panic::PanicHookInfo) {
    tracing::error!(location = panic.location().map(tracing::field::display), "panic");
}

fn own_level() -> LevelFilter {
    ["AWS_LAMBDA_LOG_LEVEL", "RUST_LOG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok()?.parse().ok())
        .unwrap_or(LevelFilter::INFO)
}

fn filter(own: LevelFilter) -> Targets {
    Targets::new().with_default(own.min(LevelFilter::ERROR)).with_target("docyard", own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::filter::LevelFilter;

    #[test]
    fn dependencies_never_log_more_than_errors() {
        let filter = filter(LevelFilter::TRACE);
        for ours in ["docyard_core::store", "docyard_functions::service", "docyard_cli"] {
            assert!(filter.would_enable(ours, &tracing::Level::TRACE), "{ours}");
        }
        for theirs in ["aws_smithy_runtime", "hyper", "lambda_runtime", "dynoxide"] {
            assert!(filter.would_enable(theirs, &tracing::Level::ERROR), "{theirs}");
            assert!(!filter.would_enable(theirs, &tracing::Level::WARN), "{theirs}");
        }
    }

    #[test]
    fn of_a_panic_only_its_place_is_logged() {
        use std::io::{Read, Seek};

        let mut log = tempfile::tempfile().unwrap();
        let layer = fmt::layer().json().with_writer(log.try_clone().unwrap());
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(log_panic));
        let panicked = tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            std::panic::catch_unwind(|| panic!("confidential"))
        });
        std::panic::set_hook(before);
        assert!(panicked.is_err());
        let mut lines = String::new();
        log.rewind().unwrap();
        log.read_to_string(&mut lines).unwrap();
        assert!(lines.contains(concat!("\"location\":\"", file!(), ":")), "{lines}");
        assert!(!lines.contains("confidential"));
    }

    #[test]
    fn dependencies_are_not_louder_than_we_are() {
        let filter = filter(LevelFilter::OFF);
        assert!(!filter.would_enable("hyper", &tracing::Level::ERROR));
    }
}
