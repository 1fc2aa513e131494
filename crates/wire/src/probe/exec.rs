//! `exec`: a program that runs on the vantage.

use serde::{Deserialize, Serialize};

use super::{
    kind::{About, Connections, Form, Hides, Kind, Reach, Shows},
    number::NumberBound,
    refused::{Field, Refusal},
};
use crate::hide::{self, Clear, Part};

/// A program that runs on the vantage, without a shell. It is good by its exit code, and by the number that it prints if one is wanted. It and all
/// that it started are ended with the request. On a host it runs as the user of a rule of the host's policy that names it; on the coordinator
/// as the user who runs Firedrill. It gets no input and no variables but `PATH`, `HOME`, `USER`, `LOGNAME` and `LC_ALL=C`, and begins in `/`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecProbe {
    /// The whole path of the program, then its arguments.
    pub command: Vec<String>,
    /// The exit codes that are good: a number from 0 to 255, or a list of them.
    #[serde(default, skip_serializing_if = "ExitCodes::is_zero")]
    #[schemars(extend("default" = 0))]
    pub exit: ExitCodes,
    /// The bounds of the number that the program prints. All that it prints is this number, and at most 64 KiB; without this key nothing of it is
    /// read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<NumberBound>,
}

/// Exit codes: one, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(
    untagged,
    expecting = "this is not an exit code; give a number from 0 to 255, or a list of them such as [0, 1]"
)]
pub enum ExitCodes {
    /// One.
    One(u8),
    /// Any of them.
    Any(Vec<u8>),
}

impl Default for ExitCodes {
    fn default() -> Self {
        Self::One(0)
    }
}

impl ExitCodes {
    fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a code is good.
    #[must_use]
    pub fn has(&self, code: u8) -> bool {
        match self {
            Self::One(one) => *one == code,
            Self::Any(all) => all.contains(&code),
        }
    }
}

impl ExecProbe {
    /// The longest command with all arguments, in bytes.
    pub const COMMAND_MOST: usize = 64 * 1024;
    /// The most that is read of what a program prints, in bytes.
    pub const OUTPUT_MOST: usize = 64 * 1024;

    fn wrong_command(&self) -> Option<Refusal> {
        let refuse = |what: String, label| {
            let help = "the whole path of a program, then its arguments: [\"/usr/lib/nagios/plugins/check_disk\", \"-w\", \"10%\"]";
            Some(Refusal::new(Field::request(&["command"]), what, label, help))
        };
        let Some(program) = self.command.first() else {
            return refuse("`command` is empty".to_owned(), "no program");
        };
        let parts = || program.strip_prefix('/').into_iter().flat_map(|rest| rest.split('/'));
        if parts().next().is_none() || parts().any(|part| ["", ".", ".."].contains(&part)) {
            let what = format!("`{program}` is not the whole path of a program");
            return refuse(what, "not a whole path");
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            let what = "`command` holds a NUL character, which no program can be given".to_owned();
            return refuse(what, "cannot be given");
        }
        let length = self.command.iter().map(String::len).sum::<usize>();
        if length > Self::COMMAND_MOST {
            let what = format!("the command has {length} bytes; at most {} are given", Self::COMMAND_MOST);
            return refuse(what, "too much");
        }
        None
    }
}

impl Form for ExecProbe {
    const EXAMPLE: &'static str = "{ command = [\"/usr/lib/nagios/plugins/check_load\"] }";
    const HIDES: &'static [(&'static str, Hides)] = &[("command", Hides::Whole)];
    const AS_IT_IS: &'static [&'static str] = &["command"];

    fn without_secrets(&self) -> Self {
        Self { command: hide::argv(&self.command), ..self.clone() }
    }
}

impl Kind for ExecProbe {
    fn about(&self) -> About<'_> {
        let Self { command, exit: _, number } = self;
        let words = hide::argv(command);
        let hidden = command.iter().zip(&words).filter(|(word, shown)| word != shown);
        let field = || Field::request(&["command"]);
        let clear = hidden.map(|(word, _)| Clear {
            field: field(),
            part: Part::Argument,
            text: word.clone(),
            sure: true,
        });
        let of = if number.is_some() { "the number of " } else { "" };
        let shown = words.join(" ");
        About {
            asks: format!("exec {shown}"),
            measures: format!("{of}`{shown}`"),
            reach: Reach { field: field(), text: command.first().map_or("", String::as_str), to: None },
            shows: Shows::Answers,
            connections: Connections::New("a probe of the kind `exec` has no connection"),
            reads: Vec::new(),
            secrets: Vec::new(),
            fills: Vec::new(),
            clear: clear.collect(),
        }
    }

    fn runs(&self) -> Option<&[String]> {
        Some(&self.command)
    }

    fn invalid(&self) -> Vec<Refusal> {
        let mut wrong: Vec<Refusal> = self.wrong_command().into_iter().collect();
        if self.exit == ExitCodes::Any(Vec::new()) {
            let what = "the list of exit codes is empty, so no end would be good";
            let help = "name an exit code, or leave `exit` out: 0 is good then";
            wrong.push(Refusal::new(Field::request(&["exit"]), what, "no exit code", help));
        }
        wrong.extend(self.number.iter().flat_map(|bound| bound.refusals("number")));
        wrong
    }

    fn vain(&self) -> Vec<Refusal> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> ExecProbe {
        serde_json::from_str(json).expect(json)
    }

    #[test]
    fn each_value_that_cannot_be_is_told_once() {
        for (json, why) in [
            (r#"{"command":[]}"#, "`command` is empty"),
            (r#"{"command":["check"]}"#, "`check` is not the whole path"),
            (r#"{"command":["/usr/../bin/check"]}"#, "not the whole path"),
            (r#"{"command":["/usr//bin/check"]}"#, "not the whole path"),
            (r#"{"command":["/"]}"#, "not the whole path"),
            (r#"{"command":["/bin/a","b\u0000c"]}"#, "NUL"),
            (r#"{"command":["/bin/a"],"exit":[]}"#, "exit codes is empty"),
            (r#"{"command":["/bin/a"],"number":{}}"#, "no bound"),
            (r#"{"command":["/bin/a"],"number":{"at_least":3,"at_most":2}}"#, "at least 3 and at most 2"),
        ] {
            let said: Vec<String> = of(json).invalid().iter().map(ToString::to_string).collect();
            assert!(said.len() == 1 && said[0].contains(why), "{json}: {said:?}");
        }
        let error =
            serde_json::from_str::<ExecProbe>(r#"{"command":["/bin/a"],"exit":256}"#).expect_err("no");
        assert!(error.to_string().contains("from 0 to 255"), "{error}");
        let long =
            ExecProbe { command: vec!["/bin/a".to_owned(), "x".repeat(70_000)], ..of(r#"{"command":[]}"#) };
        assert!(long.invalid()[0].what.contains("at most 65536"));
    }

    #[test]
    fn exit_codes_are_one_or_several() {
        assert!(of(r#"{"command":["/bin/a"]}"#).exit.has(0) && !of(r#"{"command":["/bin/a"]}"#).exit.has(1));
        let some = of(r#"{"command":["/bin/a"],"exit":[1,2]}"#).exit;
        assert!(some.has(1) && some.has(2) && !some.has(0));
    }

    #[test]
    fn a_secret_among_the_arguments_is_hidden() {
        let probe = of(r#"{"command":["/bin/check","--password","geheim1","--host","db1"]}"#);
        assert_eq!(probe.about().clear.len(), 1);
        let shown =
            format!("{:?} {} {}", probe.without_secrets(), probe.about().asks, probe.about().measures);
        assert!(!shown.contains("geheim1") && shown.contains("db1"), "{shown}");
    }
}
