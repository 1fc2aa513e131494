//! The tables of netem's distributions of delays. Each is the inverse of a cumulative distribution in equal steps,
//! computed by the definitions of iproute2's generators (a Pareto distribution of exponent 3; a quarter normal and
//! three quarters Pareto).

use std::{f64::consts::TAU, sync::LazyLock};

/// The distribution of delays around their mean, by netem's tables: one sigma is the jitter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Distribution {
    /// Uniform within mean ± jitter.
    #[default]
    Uniform,
    /// Normal.
    Normal,
    /// Pareto: heavy on one side.
    Pareto,
    /// A quarter normal, three quarters Pareto, as in netem's table of that name.
    ParetoNormal,
}

/// Entries of a table.
const SIZE: usize = 4096;
/// The value of an entry that stands for one sigma (`NETEM_DIST_SCALE`).
pub(super) const SCALE: i64 = 8192;

type Table = Vec<i16>;

static NORMAL: LazyLock<Table> = LazyLock::new(|| table(&quantiles()));
static PARETO: LazyLock<Table> = LazyLock::new(|| table(&pareto()));
static PARETO_NORMAL: LazyLock<Table> = LazyLock::new(|| {
    let mixed: Vec<f64> =
        quantiles().iter().zip(pareto()).map(|(normal, pareto)| (normal + 3.0 * pareto) / 4.0).collect();
    table(&mixed)
});

/// Returns the table of a distribution; a uniform one needs none.
#[must_use]
pub fn of(distribution: Distribution) -> Option<&'static [i16]> {
    match distribution {
        Distribution::Uniform => None,
        Distribution::Normal => Some(&NORMAL),
        Distribution::Pareto => Some(&PARETO),
        Distribution::ParetoNormal => Some(&PARETO_NORMAL),
    }
}

/// Converts values in sigmas to table entries of 16 bits.
fn table(sigmas: &[f64]) -> Table {
    #[expect(clippy::cast_possible_truncation, reason = "the tables saturate, as netem's do")]
    sigmas.iter().map(|sigma| (sigma * SCALE as f64).round() as i16).collect()
}

/// Converts a position in a table to a floating-point number.
fn real(position: usize) -> f64 {
    f64::from(u32::try_from(position).unwrap_or(u32::MAX))
}

/// Returns the normal distribution's quantiles, by summing up its density from far below.
fn quantiles() -> Vec<f64> {
    const WIDTH: f64 = 0.0002;
    let size = real(SIZE);
    let mut quantiles = Vec::with_capacity(SIZE);
    let (mut x, mut below) = (-8.0_f64, 0.0);
    while quantiles.len() < SIZE {
        // iproute2 counts in steps of a quarter entry, and starts with half of one.
        let wanted = (real(quantiles.len()) + 0.125) / size;
        while below < wanted && x < 8.0 {
            let middle = x + WIDTH / 2.0;
            below += (-middle * middle / 2.0).exp() / TAU.sqrt() * WIDTH;
            x += WIDTH;
        }
        quantiles.push(x);
    }
    quantiles
}

/// Returns the Pareto distribution's quantiles, shifted so that its mean is zero.
fn pareto() -> Vec<f64> {
    const EXPONENT: f64 = 3.0;
    const MEAN: f64 = 1.5;
    let size = real(SIZE);
    // The table ends at the limit of 16 bits, also within the mixture.
    let most = f64::from(i16::MAX) / SCALE as f64;
    (0..SIZE)
        .map(|position| {
            let left = (size - real(position)) / size;
            // The factor 4/3 is that of iproute2's generator.
            ((left.powf(-1.0 / EXPONENT) - MEAN) * 4.0 / 3.0).min(most)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(table: &[i16]) -> (f64, f64) {
        let sigmas: Vec<f64> = table.iter().map(|&entry| f64::from(entry) / SCALE as f64).collect();
        let mean = sigmas.iter().sum::<f64>() / real(SIZE);
        let variance = sigmas.iter().map(|sigma| (sigma - mean).powi(2)).sum::<f64>() / real(SIZE);
        (mean, variance.sqrt())
    }

    #[test]
    fn tables_rise_and_have_all_entries() {
        for distribution in [Distribution::Normal, Distribution::Pareto, Distribution::ParetoNormal] {
            let table = of(distribution).unwrap();
            assert!(table.len() == SIZE && table.is_sorted(), "{distribution:?}");
        }
        assert!(of(Distribution::Uniform).is_none());
    }

    #[test]
    fn the_normal_table_has_the_known_quantiles() {
        let table = of(Distribution::Normal).unwrap();
        // Φ(0) = 1/2, Φ(1) = 0.841345, Φ(1.959964) = 0.975, and below likewise.
        for (sigmas, position) in
            [(0.0, 2048), (1.0, 3446), (-1.0, 650), (1.959_964, 3994), (-1.959_964, 102)]
        {
            let seen = f64::from(table[position]) / SCALE as f64;
            assert!((seen - sigmas).abs() < 0.01, "{sigmas}: {seen}");
        }
        let (mean, sigma) = moments(table);
        assert!(mean.abs() < 0.002 && (sigma - 1.0).abs() < 0.005, "{mean} {sigma}");
    }

    #[test]
    fn the_pareto_table_is_that_of_exponent_three() {
        let table = of(Distribution::Pareto).unwrap();
        let median = (2.0_f64.powf(1.0 / 3.0) - 1.5) * 4.0 / 3.0;
        assert!((f64::from(table[2048]) / SCALE as f64 - median).abs() < 0.001);
        // The least is (1 - 1.5) · 4/3; the greatest is cut at 16 bits.
        assert_eq!((table[0], table[SIZE - 1]), (-5461, i16::MAX));
        let (mean, _) = moments(table);
        assert!(mean.abs() < 0.05, "{mean}");
    }

    #[test]
    fn the_mixture_lies_between() {
        let all = [Distribution::Normal, Distribution::Pareto, Distribution::ParetoNormal];
        let [normal, pareto, mixed] = all.map(|distribution| of(distribution).unwrap());
        // Position 0 is left out: there the normal table is cut at 16 bits, and the mixture is not.
        for position in (64..SIZE).step_by(64) {
            let wanted = (f64::from(normal[position]) + 3.0 * f64::from(pareto[position])) / 4.0;
            assert!((f64::from(mixed[position]) - wanted).abs() <= 2.0, "{position}");
        }
    }
}
