//! Asks a policy whether enough people have approved a fault. The rule itself is in `approval.rs`. These methods of [`Policy`] are not in
//! that file, because imports point one way: the policy has the rule as a field, and imports it.

use std::path::Path;

use firedrill_wire::{
    RefusalCode,
    api::{Means, Problem},
};

use super::{Policy, approval::Approved};
use crate::injection::refuse;

impl Policy {
    /// Returns the number of people who must approve a fault of this kind; 0 if nobody must.
    pub(crate) fn wants_approval(&self, kind: &str) -> u32 {
        self.approval.as_ref().map_or(0, |approval| approval.wants(kind))
    }

    /// Returns a sentence on the approvals that a fault lacks; `None` if it lacks none.
    pub(crate) fn lacks_approval(&self, kind: &str, approved: &Approved) -> Option<String> {
        self.approval.as_ref()?.lacks(kind, approved)
    }

    /// Checks that enough people have approved a fault. The refusal names `file`, the file of this policy.
    ///
    /// # Errors
    /// The refusal, which says how many people must approve, and who has.
    pub(crate) fn check_approved(&self, kind: &str, approved: &Approved, file: &Path) -> Result<(), Problem> {
        self.lacks_approval(kind, approved).map_or(Ok(()), |missing| {
            let passkeys = self.approval.as_ref().is_some_and(|rule| rule.means.contains(&Means::Passkey));
            let or_passkey = if passkeys { ", or approve the waiting run in the control room" } else { "" };
            let hint = format!(
                "policy.approval in {} says so; have other people run `firedrill approve`, and give their files to the run with --approve{or_passkey}",
                file.display()
            );
            Err(refuse(RefusalCode::NotApproved, missing, hint))
        })
    }
}
