//! Steps of equal length on the time axis: the columns of lines and of heat maps. The length is a whole number of seconds.

/// Steps between two moments on the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Steps {
    pub(crate) from_us: i64,
    pub(crate) until_us: i64,
    /// Duration of each step, in microseconds.
    pub(crate) step_us: i64,
}

impl Steps {
    /// Creates at most `most` steps, and at least one.
    pub(crate) fn new(from_us: i64, until_us: i64, most: usize) -> Self {
        let most = u64::try_from(most).unwrap_or(u64::MAX).max(1);
        let seconds = until_us.saturating_sub(from_us).max(1).cast_unsigned().div_ceil(1_000_000);
        let step = seconds.div_ceil(most).max(1).saturating_mul(1_000_000);
        Self { from_us, until_us, step_us: i64::try_from(step).unwrap_or(i64::MAX) }
    }

    /// Returns the number of steps.
    pub(crate) fn count(&self) -> usize {
        let span = self.until_us.saturating_sub(self.from_us).max(1).cast_unsigned();
        usize::try_from(span.div_ceil(self.step_us.max(1).cast_unsigned())).unwrap_or(1).max(1)
    }

    /// Returns the time from the beginning of a step to the beginning of its bin, in microseconds, if each step has one bin: bins do not begin at
    /// whole seconds. `from_us` is the start of any bin. 0 if a step has several bins.
    pub(crate) fn shift_us(&self, from_us: i64) -> i64 {
        if self.step_us > 1_000_000 {
            return 0;
        }
        let begin = self.from_us.saturating_add(self.place(from_us).saturating_mul(self.step_us));
        from_us.saturating_sub(begin).clamp(0, self.step_us)
    }

    /// Returns the index of the step of a moment; below 0 before the first step.
    pub(crate) fn place(&self, us: i64) -> i64 {
        us.saturating_sub(self.from_us).div_euclid(self.step_us.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_whole_seconds_and_cover_the_time() {
        let steps = Steps::new(0, 10_500_000, 4);
        assert_eq!((steps.step_us, steps.count()), (3_000_000, 4));
        assert_eq!((steps.place(-1), steps.place(0), steps.place(3_000_000)), (-1, 0, 1));
        let all = Steps::new(i64::MIN, i64::MAX, 7);
        assert!(all.count() <= 8 && all.step_us > 0, "{all:?}");
        assert_eq!(Steps::new(5, 5, 0).count(), 1);
        let seconds = Steps::new(0, 10_000_000, 10);
        assert_eq!([300_000, 7_300_000, 2_000_000].map(|us| seconds.shift_us(us)), [300_000, 300_000, 0]);
        assert_eq!(steps.shift_us(300_000), 0, "a step has three bins");
    }
}
