//! The turn of an attack, before anything is armed for it. This is the only place where the run pauses and where an attack is skipped. Arms
//! and undoes nothing.

use super::super::{error::RunError, parts::Run, stop::Stop};

/// The result of a turn.
pub(crate) enum Turn {
    /// The attack may be armed.
    GoesOn,
    /// A person skipped the attack; with the reason for the log.
    Skipped(String),
    /// The run must stop.
    Stops(Stop),
}

/// Gives an attack its turn, by its place in the plan: pauses while people want that, or skips the attack.
///
/// # Errors
/// The log of the run cannot be written.
pub(crate) async fn turn(run: &mut Run, index: usize) -> Result<Turn, RunError> {
    run.between.comes(index);
    if let Some(why) = run.between.skip(index) {
        return Ok(Turn::Skipped(why));
    }
    if !run.between.is_to_pause() {
        return Ok(Turn::GoesOn);
    }
    // A run pauses only if nothing is in force.
    if let Some(why) = unconfirmed(run) {
        return Ok(Turn::Stops(Stop::Failed(why)));
    }
    let clock = run.facts.clock;
    if let Some(paused) = run.between.begin(clock.now_us(), |us| clock.wall_at(us)) {
        run.recorder.write(paused)?;
    }
    while let Some(pause) = run.between.pause().cloned() {
        // Somebody may end the pause, change its length, or skip the attack.
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

/// Returns the reason why nothing more may be armed: the host of an earlier fault has not confirmed its end. A stuck fault is confirmed. `None`
/// if there is no such fault.
pub(super) fn unconfirmed(run: &Run) -> Option<String> {
    let is_open = run.injections.can_be_undone();
    is_open.then(|| format!("the end of an earlier fault is not confirmed: {}", run.waiting_for()))
}
