//! One measured quantity: a value per round, shown as median, smallest and largest.

use serde::Serialize;

/// A quantity and its values.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Figure {
    /// Stable name, for comparing runs: `encrypt/http/hsms/rate`.
    pub(crate) name: String,
    /// Unit: `op/s`, `µs`.
    pub(crate) unit: &'static str,
    /// The median.
    pub(crate) median: f64,
    /// The smallest value.
    pub(crate) least: f64,
    /// The largest value.
    pub(crate) most: f64,
    /// One value per round, in order.
    pub(crate) values: Vec<f64>,
}

/// The figures of a run, in the order in which they were first measured.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// Adds the value of one round.
    pub(crate) fn add(&mut self, name: &str, unit: &'static str, value: f64) {
        let index = self.0.iter().position(|figure| figure.name == name).unwrap_or_else(|| {
            let (median, least, most) = (0.0, 0.0, 0.0);
            self.0.push(Figure { name: name.to_owned(), unit, median, least, most, values: Vec::new() });
            self.0.len() - 1
        });
        let figure = &mut self.0[index];
        figure.values.push(value);
        let mut sorted = figure.values.clone();
        sorted.sort_by(f64::total_cmp);
        (figure.median, figure.least, figure.most) = (percentile(&sorted, 0.5), sorted[0], sorted[sorted.len() - 1]);
    }

    /// The median of a figure that was measured.
    pub(crate) fn median(&self, name: &str) -> Option<f64> {
        self.0.iter().find(|figure| figure.name == name).map(|figure| figure.median)
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Figure] {
        &self.0
    }
}

/// The value below or at which the part `part` of `sorted` lies (nearest rank). `sorted` must not be empty.
pub(crate) fn percentile<T: Copy>(sorted: &[T], part: f64) -> T {
    // Ranks are far below 2^52, and `part` is between 0 and 1.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_of_the_nearest_rank() {
        let hundred: Vec<u32> = (1..=100).collect();
        for (part, value) in [(0.0, 1), (0.5, 50), (0.99, 99), (0.999, 100), (1.0, 100)] {
            assert_eq!(percentile(&hundred, part), value, "{part}");
        }
        assert_eq!(percentile(&[7], 0.5), 7);
    }

    #[test]
    fn a_figure_shows_the_middle_and_both_ends_of_its_rounds() {
        let mut figures = Figures::default();
        for value in [3.0, 1.0, 9.0, 2.0, 4.0] {
            figures.add("a", "op/s", value);
        }
        let figure = &figures.all()[0];
        assert_eq!((figure.median, figure.least, figure.most), (3.0, 1.0, 9.0));
        assert_eq!((figures.median("a"), figures.median("b")), (Some(3.0), None));
    }
}
