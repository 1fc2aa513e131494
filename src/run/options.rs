//! The parameters and the result of a run.

use std::{path::PathBuf, sync::Arc};

use firedrill_wire::RunId;

use super::{approvals::Approvals, phases::prepare::Answer, screen::Observer, within::Within};
use crate::{
    link::Identity,
    log::{LeaderAsked, RunOutcome},
};

/// The parameters of a run besides its plan.
pub struct Options {
    /// The person who runs it.
    pub operator: String,
    /// The certificate of that person.
    pub identity: Arc<Identity>,
    /// The directory in which the run's folder is created.
    pub out: PathBuf,
    /// Whether to stop after prepare.
    pub plan_only: bool,
    /// Whether to run although another run uses the same hosts, or measures the same addresses.
    pub beside_others: bool,
    /// The claim of the game day that it is a part of ([`super::Whole::id`]).
    pub within: Option<Within>,
    /// The sources of approvals.
    pub approvals: Approvals,
    /// The screen.
    pub observer: Box<dyn Observer>,
    /// The number of this try, from 1.
    pub attempt: u32,
}

/// A run that ended.
#[derive(Debug)]
pub struct Finished {
    /// The run.
    pub run: RunId,
    /// Its folder.
    pub folder: PathBuf,
    /// Its outcome.
    pub outcome: RunOutcome,
    /// The agents' answers to prepare.
    pub answers: Vec<Answer>,
    /// The leaders of moving targets, of a run that only shows its plan.
    pub leaders: Vec<LeaderAsked>,
    /// Whether a person skipped an attack.
    pub skipped: bool,
}
