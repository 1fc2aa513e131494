//! A program that runs on the vantage, without a shell: its exit code, and the number that it prints. Nothing of it is there any longer than its
//! request, whatever it started.

mod end;
#[cfg_attr(not(target_os = "linux"), path = "exec/portable.rs")]
mod kept;
mod places;
mod setup;

use std::sync::Arc;

use firedrill_wire::probe::{Bounded, ExecProbe, ExitCodes, Field, NumberBound, ProbeSpec, Refusal};
use futures_util::future::{BoxFuture, try_join};
use serde_json::Number;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::Instant,
};

use self::{end::End, kept::Kept, places::Places, setup::Setup};
use crate::{
    ask::{Ask, Due, Make, Means},
    clock::boot_us,
    outcome::{Ended, Failure, Phases, of_io},
};

/// A probe by a program.
struct Exec {
    setup: Arc<Setup>,
    exit: ExitCodes,
    number: Option<NumberBound>,
    places: Places,
}

impl Make for ExecProbe {
    fn make(&self, _spec: &ProbeSpec, means: Means<'_>) -> Result<Box<dyn Ask>, Vec<Refusal>> {
        let refuse = |what: String, label, help: &str| {
            vec![Refusal::new(Field::request(&["command"]), what, label, help)]
        };
        let program = self.command.first().map_or("", String::as_str);
        let account = means.reads.program(&self.command).map_err(|why| {
            let help =
                "commands = [[…]] and run_as = \"…\" in a rule of [[policy.allow]] in agent.toml allow it";
            refuse(format!("{program} cannot be run: {why}"), "may not be run", help)
        })?;
        setup::runnable(program).and_then(|()| kept::possible()).map_err(|why| {
            let help = "it must be a program of the machine that the probe runs on";
            refuse(format!("{program} cannot be run: {why}"), "cannot be run", help)
        })?;
        let setup = Setup::new(self.command.clone(), account, self.number.is_some());
        Ok(Box::new(Exec {
            setup: Arc::new(setup),
            exit: self.exit.clone(),
            number: self.number.clone(),
            places: Places::new(),
        }))
    }
}

impl Ask for Exec {
    fn ask(&self, _due: Due, _until: Instant) -> BoxFuture<'_, Result<Phases, Failure>> {
        Box::pin(self.once())
    }
}

impl Exec {
    /// Good once the program has ended with a good code, and printed a number within its bounds if one is wanted.
    async fn once(&self) -> Result<Phases, Failure> {
        let mut phases = Phases::default();
        let place = self.places.take().ok_or(Failure::Vantage)?;
        let begun = boot_us();
        let setup = Arc::clone(&self.setup);
        // It waits for the new process, for which no other request should.
        let started = tokio::task::spawn_blocking(move || Kept::start(&setup, place)).await;
        let mut kept =
            started.map_err(std::io::Error::other).and_then(|made| made).map_err(|why| not_started(&why))?;
        phases.connect = boot_us() - begun;
        let begun = boot_us();
        let output = kept.output();
        let ends = async { Ok((kept.ended().await.map_err(|why| not_started(&why))?, boot_us())) };
        // Too much output is bad before the program has ended.
        let ((end, ended_at), (first_at, printed)) = try_join(ends, read(output)).await?;
        phases.first_byte = first_at.unwrap_or(ended_at).saturating_sub(begun);
        match end.ok_or(Failure::Vantage)? {
            End::Signal(signal) => return Err(Ended::Signal(signal).into()),
            End::Exit(code) if !self.exit.has(code) => return Err(Ended::Exit(code).into()),
            End::Exit(_) => {}
        }
        let Some(bound) = &self.number else { return Ok(phases) };
        match bound.place(&number(&printed).ok_or(Ended::NoNumber)?) {
            Bounded::Within => Ok(phases),
            Bounded::Above => Err(Ended::Above.into()),
            Bounded::Below => Err(Ended::Below.into()),
        }
    }
}

/// Says once for this process that a program cannot be started, and returns the failure, which is the vantage's own.
fn not_started(why: &std::io::Error) -> Failure {
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        tracing::warn!(error = %why, "a probe's program cannot be started; its requests count as slipped");
    });
    Failure::Vantage
}

/// Reads all that a program prints, if it is read at all. Also returns when it began to.
async fn read(output: Option<impl AsyncRead + Unpin>) -> Result<(Option<u64>, Vec<u8>), Failure> {
    let (mut first_at, mut printed) = (None, Vec::new());
    let Some(mut output) = output else { return Ok((first_at, printed)) };
    loop {
        let count = output.read_buf(&mut printed).await.map_err(|why| of_io(&why))?;
        if count == 0 {
            return Ok((first_at, printed));
        }
        first_at = first_at.or_else(|| Some(boot_us()));
        if printed.len() > ExecProbe::OUTPUT_MOST {
            return Err(Ended::TooLong.into());
        }
    }
}

/// Returns the number that all of the output is.
fn number(printed: &[u8]) -> Option<Number> {
    let text = std::str::from_utf8(printed).ok()?.trim();
    serde_json::from_str(text).ok().or_else(|| Number::from_f64(text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_the_output_is_one_number() {
        for (text, said) in
            [("5\n", "5"), (" -3.5 ", "-3.5"), ("1e3", "1000.0"), ("007", "7.0"), ("+2", "2.0")]
        {
            assert_eq!(
                number(text.as_bytes()).map(|number| number.to_string()).as_deref(),
                Some(said),
                "{text}"
            );
        }
        for text in ["", "x", "5 6", "5%", "inf", "NaN", "\"5\"", "0x10"] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
        assert_eq!(number(b"5\xff"), None);
    }
}
