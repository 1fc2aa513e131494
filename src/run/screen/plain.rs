//! The view for logs and pipes: plain lines with time stamps.

use super::{Observer, sentence, words::Tone};
use crate::{
    log::{Event, Record},
    plan::Plan,
};

/// Prints a line on standard error for each record that has a sentence ([`sentence`]).
#[derive(Debug, Default)]
pub struct Plain {
    plan: Option<Plan>,
}

/// Formats a line with its time and colour; `anstream` removes the colour where it is not wanted.
pub(super) fn line(at_us: i64, tone: Tone, text: &str) -> String {
    use anstyle::{AnsiColor, Style};
    let style = match tone {
        Tone::Plain => Style::new().dimmed(),
        Tone::Step => Style::new().bold(),
        Tone::Harm => AnsiColor::Yellow.on_default(),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Bad => AnsiColor::Red.on_default().bold(),
    };
    let tenths = at_us / 100_000;
    format!("{:>5}.{} s  {style}{text}{style:#}", tenths / 10, tenths.rem_euclid(10))
}

impl Observer for Plain {
    fn record(&mut self, record: &Record) {
        if let Event::RunStarted { plan, .. } = &record.event {
            self.plan = Some((**plan).clone());
        }
        if let Some((tone, text)) = sentence(self.plan.as_ref(), record) {
            errln!("{}", line(record.at_us, tone, &text));
        }
    }

    fn say(&mut self, text: &str) {
        errln!("{text}");
    }
}
