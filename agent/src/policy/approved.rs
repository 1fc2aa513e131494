//! Asks a policy whether enough people have approved a fault. The rule is in `approval.rs`, which cannot import the policy that has it.

use std::path::Path;

use firedrill_wire::{RefusalCode, api::Problem};

use super::{Policy, approval::Approved};
use crate::injection::refuse;

impl Policy {
    /// Returns the number of people whose approval a kind of fault needs.
    pub(crate) fn wants_approval(&self, kind: &str) -> u32 {
        self.approval.as_ref().map_or(0, |approval| approval.wants(kind))
    }

    /// Returns the approvals that a fault lacks, in words; `None` if it needs no more.
    pub(crate) fn lacks_approval(&self, kind: &str, approved: &Approved) -> Option<String> {
        self.approval.as_ref()?.lacks(kind, approved)
    }

    /// Checks that enough people have approved a fault.
    ///
    /// # Errors
    /// The refusal, with what is missing.
    pub(crate) fn check_approved(&self, kind: &str, approved: &Approved, file: &Path) -> Result<(), Problem> {
        self.lacks_approval(kind, approved).map_or(Ok(()), |lacks| {
            let hint = format!(
                "policy.approval in {} says so; others run `firedrill approve`, and the run gets their files with --approve",
                file.display()
            );
            Err(refuse(RefusalCode::NotApproved, lacks, hint))
        })
    }
}
