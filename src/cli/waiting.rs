//! A progress indicator on the terminal. Shows nothing without a terminal.

/// Shows on a terminal that something is in progress, and for how long, until the value is dropped.
pub(super) fn waiting(what: &'static str) -> impl Drop {
    struct Waiting(indicatif::ProgressBar);
    impl Drop for Waiting {
        fn drop(&mut self) {
            self.0.finish_and_clear();
        }
    }
    let bar = indicatif::ProgressBar::new_spinner();
    bar.set_style(
        indicatif::ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
            .unwrap_or_else(|_| indicatif::ProgressStyle::default_spinner()),
    );
    bar.set_message(what);
    bar.enable_steady_tick(std::time::Duration::from_millis(100));
    Waiting(bar)
}
