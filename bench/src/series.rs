//! Measured times, and what is said of them.

use std::fmt;
use std::time::Duration;

/// Times in milliseconds, by round.
#[derive(Default)]
pub struct Series(Vec<Vec<f64>>);

impl Series {
    /// What is pushed from now on belongs to a new round.
    pub fn begin_round(&mut self) {
        self.0.push(Vec::new());
    }

    /// Adds a time to this round.
    pub fn push(&mut self, time: Duration) {
        self.0.last_mut().unwrap().push(time.as_secs_f64() * 1000.0);
    }

    /// Adds all times of another series to this round.
    pub fn extend(&mut self, other: &Self) {
        self.0.last_mut().unwrap().extend(other.0.iter().flatten());
    }

    /// How many times there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Vec::is_empty)
    }

    /// The time that this part of all times does not exceed: 0.5 is the median.
    pub fn quantile(&self, part: f64) -> f64 {
        quantile(self.0.iter().flatten().copied().collect(), part)
    }

    /// This median over the other one.
    pub fn ratio_to(&self, other: &Self) -> Ratio {
        let median = |round: &Vec<f64>| quantile(round.clone(), 0.5);
        let rounds = self.0.iter().zip(&other.0).map(|(this, other)| median(this) / median(other)).collect();
        Ratio { all: self.quantile(0.5) / other.quantile(0.5), rounds }
    }
}

fn quantile(mut times: Vec<f64>, part: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    // The nearest rank.
    let rank = (times.len() as f64 * part).ceil().max(1.0) as usize;
    times[rank - 1]
}

/// How two medians compare.
pub struct Ratio {
    /// The ratio of the medians of all rounds.
    pub all: f64,
    /// That of each round.
    rounds: Vec<f64>,
}

impl Ratio {
    /// The smallest and the largest ratio of a round: the spread.
    pub fn range(&self) -> (f64, f64) {
        let least = self.rounds.iter().copied().fold(f64::INFINITY, f64::min);
        (least, self.rounds.iter().copied().fold(0.0, f64::max))
    }
}

impl fmt::Display for Ratio {
    /// `1.05 (1.02–1.11)`: the whole, and the spread.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = self.range();
        let digits = if self.all < 10.0 { 2 } else { 0 };
        write!(f, "{:.digits$} ({least:.digits$}–{most:.digits$})", self.all)
    }
}
