//! Ends a run whose log failed, for example because the disk is full: heals without the log.

use super::{
    error::RunError,
    parts::Run,
    phases::{
        heal::heal,
        prove::{prove, stop_probes},
        step::put_back,
    },
};
use crate::log::{Event, RunOutcome};

/// Heals all hosts and compares them with their snapshots. Nothing more is written to the file. An error that is not one of the log is
/// returned unchanged: then nothing was touched.
pub(super) async fn salvage(run: &mut Run, error: RunError) -> RunError {
    let RunError::Log(source) = error else { return error };
    run.recorder.give_up_file();
    run.recorder.say(&format!("{source}; everything is put back now"));
    run.ending.finish(None);
    // The file was given up, so nothing below fails because of the log.
    let _ = heal(run, "the log cannot be written").await;
    let _ = put_back(run).await;
    let _ = stop_probes(run).await;
    let _ = prove(run).await;
    let outcome = RunOutcome::Failed(format!("its log broke: {source}"));
    let _ = run.recorder.write(Event::RunEnded { outcome });
    let left = run.proofs.left();
    let mut whole = run.recorder.take_log();
    whole.warnings.push(format!("the file is incomplete: {source}"));
    RunError::Broken { source, left, whole: Box::new(whole) }
}
