//! What is logged, and how loudly.
//!
//! Our own level is `AWS_LAMBDA_LOG_LEVEL`, as Lambda sets it, or else `RUST_LOG`: one word, `info` if neither says.
//! Dependencies never get louder than `error`: at `trace` some print whole requests, and at `warn` the SDK reports every
//! condition that did not hold, which is a plain 409 here.

use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, for CloudWatch; on the standard output.
    Json,
    /// For people; on the standard error output.
    Text,
}

/// Starts logging for this process, panics included; a second call changes nothing.
pub fn init(format: Format) {
    let layer = match format {
        Format::Json => {
            fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
        }
        Format::Text => fmt::layer().with_ansi(false).with_writer(std::io::stderr).with_target(false).boxed(),
    };
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter(own_level()))).try_init();
    // Where, and not what: a panic's message can hold a caller's data.
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(location = panic.location().map(tracing::field::display), "panic");
    }));
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
        for ours in ["docyard::store", "docyard_functions::service", "docyard_cli"] {
            assert!(filter.would_enable(ours, &tracing::Level::TRACE), "{ours}");
        }
        for theirs in ["aws_smithy_runtime", "hyper", "lambda_runtime", "dynoxide"] {
            assert!(filter.would_enable(theirs, &tracing::Level::ERROR), "{theirs}");
            assert!(!filter.would_enable(theirs, &tracing::Level::WARN), "{theirs}");
        }
    }

    #[test]
    fn dependencies_are_not_louder_than_we_are() {
        let filter = filter(LevelFilter::OFF);
        assert!(!filter.would_enable("hyper", &tracing::Level::ERROR));
    }
}
