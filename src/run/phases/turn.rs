//! The turn of an attack, before anything is armed for it: the run pauses here, and here an attack is skipped.

use super::super::{error::RunError, parts::Run, stop::Stop};

/// The course of a turn.
pub(crate) enum Turn {
    /// The attack goes on.
    GoesOn,
    /// The attack does not run, for this reason.
    Skipped(String),
    /// The run has to stop.
    Stops(Stop),
}

/// Waits for the end of a pause, if people want one before this attack.
pub(crate) async fn turn(run: &mut Run, index: usize) -> Result<Turn, RunError> {
    run.between.comes(index);
    if let Some(why) = run.between.skip(index) {
        return Ok(Turn::Skipped(why));
    }
    if !run.between.is_to_pause() {
        return Ok(Turn::GoesOn);
    }
    // Nothing is in force while a run pauses.
    if let Some(why) = unconfirmed(run) {
        return Ok(Turn::Stops(Stop::Failed(why)));
    }
    let clock = run.facts.clock;
    if let Some(begins) = run.between.begin(clock.now_us(), |us| clock.wall_at(us)) {
        run.recorder.write(begins)?;
    }
    while let Some(pause) = run.between.pause().cloned() {
        let changed = |run: &Run| run.between.pause() != Some(&pause) || run.between.skips(index).is_some();
        match run.pump(pause.until_us, changed).await? {
            Err(stop) => return Ok(Turn::Stops(stop)),
            Ok(true) => {}
            Ok(false) => {
                let why = format!("nobody ended the pause of {} within {}", pause.by, pause.longest);
                return Ok(Turn::Stops(Stop::Person(why)));
            }
        }
        if let Some(why) = run.between.skip(index) {
            return Ok(Turn::Skipped(why));
        }
    }
    Ok(Turn::GoesOn)
}

/// Returns the reason why nothing more may be armed: a fault whose end no host has confirmed.
pub(super) fn unconfirmed(run: &Run) -> Option<String> {
    let open = run.injections.can_be_undone();
    open.then(|| format!("the end of an earlier fault is not confirmed: {}", run.waiting_for()))
}
