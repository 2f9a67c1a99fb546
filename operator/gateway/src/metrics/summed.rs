//! A metric that each core counts for itself, and that is summed up when it is read.
//!
//! A number that several cores write is taken out of one core's cache by the next one, each time: at every request that
//! costs more than the counting does.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Counter, Histogram, Metric, MetricFamily};

/// The parts of one metric. Clones have the same parts.
#[derive(Clone)]
pub(super) struct Summed<C> {
    first: C,
    others: Arc<Mutex<Vec<C>>>,
}

impl<C> Summed<C> {
    /// A metric of one part, for now.
    pub(super) fn new(first: C) -> Self {
        Self { first, others: Arc::default() }
    }

    /// Adds another part of the same metric: made of the same options.
    pub(super) fn add(&self, part: C) {
        self.lock().push(part);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<C>> {
        self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C: Collector> Collector for Summed<C> {
    fn desc(&self) -> Vec<&Desc> {
        self.first.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut sums = self.first.collect();
        let others = self.lock();
        for part in &*others {
            for (sum, mut family) in sums.iter_mut().zip(part.collect()) {
                family.take_metric().into_iter().for_each(|series| add(sum.mut_metric(), series));
            }
        }
        sums
    }
}

/// Adds a series to the one with its labels, if there is one.
fn add(sums: &mut Vec<Metric>, series: Metric) {
    match sums.iter_mut().find(|sum| sum.get_label() == series.get_label()) {
        Some(sum) => {
            sum.set_counter(counter(sum.get_counter(), series.get_counter()));
            sum.set_histogram(histogram(sum.get_histogram(), series.get_histogram()));
        }
        None => sums.push(series),
    }
}

fn counter(one: &Counter, other: &Counter) -> Counter {
    let mut sum = one.clone();
    sum.set_value(one.get_value() + other.get_value());
    sum
}

fn histogram(one: &Histogram, other: &Histogram) -> Histogram {
    let buckets = one.get_bucket().iter().zip(other.get_bucket()).map(|(one, other)| {
        let mut sum = one.clone();
        sum.set_cumulative_count(one.cumulative_count() + other.cumulative_count());
        sum
    });
    let mut sum = Histogram::default();
    sum.set_bucket(buckets.collect());
    sum.set_sample_count(one.get_sample_count() + other.get_sample_count());
    sum.set_sample_sum(one.get_sample_sum() + other.get_sample_sum());
    sum
}
