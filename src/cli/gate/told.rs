//! Prints the decision of `gate`: for people, for programs, and for CI systems in their own formats. Decides nothing.

use std::{
    collections::hash_map::RandomState,
    env, fs,
    hash::BuildHasher as _,
    io::Write as _,
    path::{Path, PathBuf},
};

use firedrill_files::{text, whole};
use firedrill_history::{Gate, Place, Results, annotations, code_quality, junit, summary};

use crate::{
    cli::failure::{Failure, Result, Wrap as _},
    verdict::Exit,
};

/// The file of the code quality report in GitLab CI, where no format was named; the template in `docs/ci.md` names it.
const CODE_QUALITY: &str = "gl-code-quality-report.json";
/// The file of the JUnit report in GitLab CI, where no format was named; the template names it.
const JUNIT: &str = "firedrill-gate.xml";
/// Maximum size of a scenario that is searched for the lines of its attacks, in bytes.
const SCENARIO_MOST: u64 = 4 << 20;

/// A format of the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Json,
    Github,
    Gitlab,
    Junit,
}

/// An output of the decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    format: Format,
    /// The file to write; `None` for standard output. With [`Format::Github`] it takes the summary, and annotations go to standard output.
    file: Option<PathBuf>,
}

impl Told {
    /// Parses `FORMAT` or `FORMAT=FILE`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (name, file) = text.split_once('=').map_or((text, None), |(name, file)| (name, Some(file)));
        let format = match name {
            "text" => Format::Text,
            "json" => Format::Json,
            "github" => Format::Github,
            "gitlab" => Format::Gitlab,
            "junit" => Format::Junit,
            _ => return Err("the formats are text, json, github, gitlab (code quality) and junit".to_owned()),
        };
        match file {
            Some("") => Err(format!("name a file after `{name}=`, or leave `=` out for standard output")),
            file => Ok(Self { format, file: file.map(PathBuf::from) }),
        }
    }

    /// A format on standard output.
    const fn plain(format: Format) -> Self {
        Self { format, file: None }
    }
}

/// Returns the outputs to write: those that the options name, or else those that the surrounding CI system reads. The error is that several
/// would go to standard output.
pub(super) fn wanted(asked: &[Told], json: bool) -> Result<Vec<Told>> {
    if json {
        return Ok(vec![Told::plain(Format::Json)]);
    }
    // GitHub's runner reads annotations from standard output, also if `github` has a file.
    let to_stdout = |output: &&Told| output.file.is_none() || output.format == Format::Github;
    if asked.iter().filter(to_stdout).count() > 1 {
        return Err(Failure::new("only one format can go to standard output")
            .help("give the others a file: --format junit=gate.xml"));
    }
    let is_true = |name: &str| env::var_os(name).is_some_and(|value| value == "true");
    Ok(if !asked.is_empty() {
        asked.to_vec()
    } else if is_true("GITHUB_ACTIONS") {
        vec![Told::plain(Format::Github)]
    } else if is_true("GITLAB_CI") {
        vec![
            Told::plain(Format::Text),
            Told { format: Format::Gitlab, file: Some(PathBuf::from(CODE_QUALITY)) },
            Told { format: Format::Junit, file: Some(PathBuf::from(JUNIT)) },
        ]
    } else {
        vec![Told::plain(Format::Text)]
    })
}

/// A decision, with the runs that it is about.
pub(super) struct Decision<'a> {
    pub(super) run: &'a Results,
    /// The runs of the baseline, the newest last.
    pub(super) baselines: &'a [Results],
    pub(super) decided: &'a Gate,
    pub(super) exit: Exit,
}

impl Decision<'_> {
    /// Writes the decision to one output.
    pub(super) fn tell(&self, output: &Told) -> Result<()> {
        let scenario = Scenario::of(self.run);
        let place = |attack: Option<&str>| scenario.as_ref().map(|scenario| scenario.place(attack));
        let text = match output.format {
            Format::Text => self.text(),
            Format::Json => self.json()?,
            Format::Gitlab => serde_json::to_string_pretty(&code_quality(self.run, self.decided, &place))?,
            Format::Junit => junit(self.run, self.decided),
            Format::Github => {
                let file = output.file.clone().or_else(|| {
                    env::var_os("GITHUB_STEP_SUMMARY").filter(|file| !file.is_empty()).map(PathBuf::from)
                });
                if let Some(file) = file {
                    append(&file, &summary(self.run, self.decided))?;
                }
                let commands = annotations(self.run, self.decided, &place);
                outln!("{commands}{}", without_commands(&self.text()));
                return Ok(());
            }
        };
        match &output.file {
            None => outln!("{}", text.trim_end()),
            Some(file) => {
                whole::replace(file, format!("{}\n", text.trim_end()).as_bytes(), whole::USUAL)
                    .wrap(format!("cannot write {}", file.display()))?;
            }
        }
        Ok(())
    }

    fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(&serde_json::json!({
            "schema": 1, "passes": self.exit == Exit::Held, "exit": self.decided.exit, "run": self.run.head(),
            "baseline": self.baselines.last().map(Results::head), "reasons": self.decided.reasons,
            "baselines": self.baselines.iter().map(Results::head).collect::<Vec<_>>(),
            "comparison": self.decided.comparison,
        }))?)
    }

    /// Formats the reasons, one a line, and the result.
    fn text(&self) -> String {
        let of_reason = |reason: &firedrill_history::Reason| {
            let allowed = if reason.allowed { " (allowed)" } else { "" };
            format!("{}{allowed}: {}", reason.kind.word(), reason.text)
        };
        let mut lines: Vec<String> = self.decided.reasons.iter().map(of_reason).collect();
        lines.push(match self.exit {
            Exit::Held => "passes".to_owned(),
            exit => format!("fails, exit code {}", exit as u8),
        });
        lines.join("\n")
    }
}

/// Puts a text between two commands to GitHub's runner, so that the runner obeys no command inside the text: a reason may quote texts of
/// others.
fn without_commands(text: &str) -> String {
    // A random word ends the text. The authors of quoted texts cannot know it.
    let word = format!("firedrill-{:016x}", RandomState::new().hash_one(std::process::id()));
    format!("::stop-commands::{word}\n{text}\n::{word}::")
}

/// Appends a text to the file of the summary: other steps of the job write to the same file.
fn append(file: &Path, text: &str) -> Result<()> {
    let opened = fs::OpenOptions::new().append(true).create(true).open(file);
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .wrap(format!("cannot write the summary {}", file.display()))
}

/// The scenario's file, if it is in the repository that CI has checked out.
struct Scenario {
    /// The path from the root of the repository.
    file: String,
    text: String,
}

impl Scenario {
    /// Reads the scenario of a run; `None` if the file is outside of the repository or cannot be read.
    fn of(run: &Results) -> Option<Self> {
        let path = fs::canonicalize(run.file.as_deref()?).ok()?;
        let root = ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"].into_iter().find_map(env::var_os);
        let root = root.map_or_else(|| env::current_dir().ok(), |root| Some(PathBuf::from(root)))?;
        let file = path.strip_prefix(fs::canonicalize(root).ok()?).ok()?.to_str()?.to_owned();
        let text = text::read(&path, SCENARIO_MOST).ok()?.text;
        Some(Self { file, text })
    }

    /// Returns the line with the name of an attack; the first line if no line has it, as for attacks that a matrix makes.
    fn place(&self, attack: Option<&str>) -> Place {
        let named = attack.and_then(|attack| {
            let names = [format!("\"{attack}\""), format!("'{attack}'")];
            let is_name = |line: &str| {
                let value = line
                    .trim_start()
                    .strip_prefix("name")
                    .map(|rest| rest.trim_start().trim_start_matches('=').trim());
                value.is_some_and(|value| names.iter().any(|name| value.starts_with(name)))
            };
            self.text.lines().position(is_name)
        });
        Place { file: self.file.clone(), line: named.unwrap_or(0) + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attack_is_found_where_its_name_is_written() {
        let text =
            "name = \"friday\"\n\n[[attack]]\non = \"app\"\nname= 'stop checkout' # first\n".to_owned();
        let scenario = Scenario { file: "a.toml".to_owned(), text };
        let line = |attack| scenario.place(attack).line;
        assert_eq!((line(Some("stop checkout")), line(Some("made by a matrix")), line(None)), (5, 1, 1));
    }

    #[test]
    fn formats_have_names_and_files() {
        let junit = Told { format: Format::Junit, file: Some(PathBuf::from("a=b.xml")) };
        assert_eq!(Told::parse("junit=a=b.xml"), Ok(junit.clone()));
        assert!(Told::parse("xunit").is_err() && Told::parse("junit=").is_err());
        let text = Told::plain(Format::Text);
        assert_eq!(wanted(&[text.clone(), junit], false).map(|all| all.len()), Ok(2));
        assert!(wanted(&[text.clone(), text.clone()], false).is_err());
        let github = Told { format: Format::Github, file: Some(PathBuf::from("summary.md")) };
        assert_eq!(wanted(std::slice::from_ref(&github), false).map(|all| all.len()), Ok(1));
        assert!(wanted(&[text, github], false).is_err(), "annotations go to standard output");
    }
}
