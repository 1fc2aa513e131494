//! `firedrill report RUN`: renders a run's reports again from its log, and prints the result. Needs no host.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    time::SystemTime,
};

use firedrill_files::whole;

use super::{
    failure::{Failure, Result, Wrap as _},
    push::Gateway,
    runs,
    trace::Collector,
};
use crate::{
    log,
    report::{self, Format, Input},
    score::{Scorecard, card::verdict_word},
    verdict::{Exit, Verdict},
};

/// Render a run's reports again from its log, and print the result.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  firedrill report reports/20261120-1402-friday-7f3a
  firedrill report 20261120-1402-friday-7f3a --open yes      the same, by its id under ./reports
  firedrill report reports/20261120-1402-friday-7f3a --format junit --json
  firedrill report --index                                   index.html over all runs under ./reports
  firedrill report 20261120-1402-friday-7f3a --textfile /var/lib/prometheus/node-exporter/firedrill.prom
  firedrill report 20261120-1402-friday-7f3a --push http://push.example:9091
  firedrill report 20261120-1402-friday-7f3a --otlp http://otel.example:4318

Needs no host. The exit code is the run's; of the index alone it is 0. The index is written anew after
each run and each report, too. It shows scenarios, their verdicts and scores over time, and open findings.")]
pub struct Args {
    /// The run: its folder, its events.jsonl, or its id under ./reports.
    #[arg(required_unless_present = "index")]
    pub run: Option<PathBuf>,
    /// Write index.html over all runs, and their findings, instead of the reports of one run
    #[arg(long, conflicts_with_all = ["run", "format", "json"])]
    pub index: bool,
    #[command(flatten)]
    reports: runs::ReportsArgs,
    /// The formats; default all but openmetrics and otlp. May be given more than once.
    #[arg(long, value_enum)]
    pub format: Vec<Wanted>,
    /// Write the metrics of the run to this file, for the node exporter's textfile collector; it ends in .prom, and is replaced at once
    #[arg(long, value_name = "FILE.prom", value_parser = prom_file, conflicts_with = "index")]
    pub textfile: Option<PathBuf>,
    /// Send the metrics of the run to a Pushgateway, in place of those of the scenario's run before: http://HOST[:PORT][/PATH], also with
    /// https and with USER:PASSWORD@
    #[arg(long, value_name = "URL", value_parser = Gateway::parse, conflicts_with = "index")]
    push: Option<Gateway>,
    /// Send the run as a trace to a collector of OpenTelemetry, by OTLP over HTTP in JSON: http://HOST[:PORT][/PATH], also with https and with
    /// USER:PASSWORD@; OTEL_EXPORTER_OTLP_HEADERS may have other headers. The path /v1/traces is added
    #[arg(long, value_name = "URL", value_parser = Collector::parse, conflicts_with = "index")]
    otlp: Option<Collector>,
    /// Open the page in the browser afterwards.
    #[arg(long, value_enum, default_value = "no", value_name = "WHEN")]
    pub open: Open,
    /// Print report.json instead of the table.
    #[arg(long)]
    pub json: bool,
}

/// A format, by its name on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Wanted {
    /// A single page for people.
    Html,
    /// All results, for programs.
    Json,
    /// A summary for tickets and pull requests.
    Markdown,
    /// For CI: a violation is a failure, `unknown` an error, an attack that did not run is skipped.
    Junit,
    /// Metrics of verdicts, score, times and figures, for Prometheus.
    Openmetrics,
    /// The run as a trace of OpenTelemetry, in the JSON of OTLP.
    Otlp,
}

impl Wanted {
    /// Returns the name of a format.
    const fn of(format: Format) -> Self {
        match format {
            Format::Html => Self::Html,
            Format::Json => Self::Json,
            Format::Markdown => Self::Markdown,
            Format::Junit => Self::Junit,
            Format::OpenMetrics => Self::Openmetrics,
            Format::Otlp => Self::Otlp,
        }
    }

    /// Returns the format of this name.
    fn format(self) -> Option<Format> {
        Format::EVERY.into_iter().find(|format| Self::of(*format) == self)
    }
}

/// Whether to open the page in the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Open {
    /// Open it.
    Yes,
    /// Do not open it.
    No,
}

/// Runs the command. The exit code is the run's.
///
/// # Errors
/// There is no such run, its log is damaged, or a report cannot be written.
pub fn run(args: &Args) -> Result<Exit> {
    let Some(run) = &args.run else { return index(args) };
    let path = runs::log_of(run, &args.reports.reports)?;
    let folder = path.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let log = log::read(&path).wrap("cannot make a report")?;
    let mut history = runs::history_beside(&folder);
    let input = Input::new(&log).beside(&folder, SystemTime::now());
    let input = runs::with_findings(input, history.as_mut());
    let wanted: Vec<Format> = args.format.iter().filter_map(|wanted| wanted.format()).collect();
    let formats = if wanted.is_empty() { Format::ALL.to_vec() } else { wanted };
    let paths = report::write(&folder, &input, &formats)?;
    if let Some(history) = &mut history {
        runs::refresh(history);
    }
    for warning in &log.warnings {
        errln!("warning: {}: {warning}", path.display());
    }
    if args.json {
        let json = Format::Json.render(&input)?;
        crate::terminal::out(format_args!("{}", String::from_utf8_lossy(&json)));
    } else {
        outln!("{}", table(input.card()));
        for path in &paths {
            outln!("  {}", path.display());
        }
    }
    let metrics = || Format::OpenMetrics.render(&input);
    if let Some(file) = &args.textfile {
        whole::replace(file, &metrics()?, whole::USUAL).wrap(format!("cannot write {}", file.display()))?;
    }
    if let Some(gateway) = &args.push {
        gateway.push(metrics()?, &input.card().name, input.environment().unwrap_or_default())?;
    }
    if let Some(collector) = &args.otlp {
        collector.send(Format::Otlp.render(&input)?)?;
    }
    if args.open == Open::Yes && formats.contains(&Format::Html) {
        open(&folder.join(Format::Html.file()))?;
    }
    Ok(exit(input.card()))
}

/// Reads the name of a file for the node exporter's textfile collector, which reads only files that end with `.prom`.
fn prom_file(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension() {
        Some(end) if end == "prom" => Ok(path),
        _ => Err("the node exporter reads only files whose names end with .prom".to_owned()),
    }
}

/// Writes the page over all runs.
fn index(args: &Args) -> Result<Exit> {
    let mut history = runs::history_of(&args.reports.reports)?;
    let findings = runs::findings_of(&mut history)?;
    let path = history.write_page(&findings)?;
    outln!("{}", path.display());
    if args.open == Open::Yes {
        open(&path)?;
    }
    Ok(Exit::Held)
}

/// Returns the scorecard's exit code.
#[must_use]
pub fn exit(card: &Scorecard) -> Exit {
    Exit::of_code(card.exit)
}

/// Formats a scorecard for the terminal: the verdict, the story, and the objectives.
#[must_use]
pub fn table(card: &Scorecard) -> String {
    let mut text = format!("{}  {}\n\n", paint(Some(card.verdict)), card.story);
    let alarm = report::alarm(card);
    if !alarm.is_empty() {
        let _ = writeln!(text, "  {alarm}\n");
    }
    for why in report::reasons(&card.why, &card.attacks) {
        let _ = writeln!(text, "  {why}");
    }
    let mut rows = tabled::builder::Builder::default();
    rows.push_record(["attack", "objective", "wanted", "measured", "verdict"]);
    for attack in &card.attacks {
        let name = format!("{} {}", attack.index + 1, attack.name);
        if attack.objectives.is_empty() {
            rows.push_record([name.as_str(), "", &attack.why.join("; "), "", verdict_word(attack.verdict)]);
        }
        for (place, objective) in attack.objectives.iter().enumerate() {
            // Only the first row of an attack has its name.
            let name = if place == 0 { name.as_str() } else { "" };
            rows.push_record([
                name,
                &objective.name,
                &objective.goal,
                &report::measured(&objective.measured),
                objective.verdict.word(),
            ]);
        }
    }
    let budgets: String = card.budgets.iter().map(|sum| format!("  {}\n", sum.sentence())).collect();
    let mut table = rows.build();
    let width = super::output::width();
    table.with(tabled::settings::Style::blank());
    table.with(
        tabled::settings::Width::wrap(width)
            .keep_words(true)
            .priority(tabled::settings::peaker::PriorityMax::default()),
    );
    let _ = writeln!(text, "{table}\n{budgets}");
    let is_not_held = |verdict: Option<Verdict>| verdict.is_some_and(|verdict| verdict != Verdict::Held);
    for attack in card.attacks.iter().filter(|attack| is_not_held(attack.verdict)) {
        for why in report::reasons(&attack.why, std::slice::from_ref(attack)) {
            let _ = writeln!(text, "  {}: {why}", attack.name);
        }
    }
    for host in report::hosts(&card.hosts) {
        let ours = if host.ours.is_empty() { String::new() } else { format!(": {}", host.ours.join("; ")) };
        let _ = writeln!(text, "  {} ended {}{ours}", host.host, host.state);
    }
    let score = card.score.map_or_else(|| "no score".to_owned(), |score| format!("score {score} of 100"));
    let _ = writeln!(text, "  {score}, {} of {} run, exit code {}", card.ran, card.planned, card.exit);
    text
}

/// Formats a verdict in colour: green for held, red for violated, yellow for all others.
fn paint(verdict: Option<Verdict>) -> String {
    use anstyle::{AnsiColor, Style};
    let colour = match verdict {
        Some(Verdict::Held) => AnsiColor::Green,
        Some(Verdict::Violated) => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    };
    let style = Style::new().bold().fg_color(Some(colour.into()));
    format!("{style}{}{style:#}", verdict_word(verdict))
}

/// Opens a page with the desktop's own program.
fn open(page: &Path) -> Result<()> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let opened = std::process::Command::new(program).arg(page).status();
    match opened {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(format!("{program} {} ended with {status}", page.display()))),
        Err(why) => Err(Failure::from(why)
            .wrap(format!("cannot run {program} to open {}", page.display()))
            .help("open it yourself, or leave --open out")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Writer;
    use clap::ValueEnum as _;
    use firedrill_judge::testing::Drill;

    #[test]
    fn each_format_on_the_command_line_is_one_of_reports() {
        assert!(Wanted::value_variants().iter().all(|wanted| wanted.format().is_some()));
    }

    fn written(drill: &Drill) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::create(&folder.path().join("events.jsonl")).unwrap();
        for record in drill.records() {
            writer.append(record.at_us, record.event).unwrap();
        }
        folder
    }

    fn args(run: &Path) -> Args {
        Args {
            run: Some(run.to_path_buf()),
            index: false,
            reports: runs::ReportsArgs { reports: PathBuf::from(runs::REPORTS) },
            format: vec![],
            textfile: None,
            push: None,
            otlp: None,
            open: Open::No,
            json: false,
        }
    }

    #[test]
    fn a_run_is_found_by_folder_or_file_and_ends_with_its_own_code() {
        let folder = written(&Drill::one());
        assert_eq!(run(&args(folder.path())).unwrap(), Exit::Held);
        assert!(folder.path().join("report.html").exists());
        assert_eq!(run(&args(&folder.path().join("events.jsonl"))).unwrap(), Exit::Held);
        let error = run(&args(Path::new("no-such-run"))).unwrap_err();
        assert!(error.to_string().contains("reports/no-such-run/events.jsonl"), "{error}");
    }

    #[test]
    fn only_the_named_formats_are_written() {
        let mut drill = Drill::one();
        drill.outcome = None;
        let folder = written(&drill);
        let only = Args { format: vec![Wanted::Junit], ..args(folder.path()) };
        assert_eq!(run(&only).unwrap(), Exit::Unknown, "a log without its end is unknown");
        assert!(folder.path().join("junit.xml").exists() && !folder.path().join("report.html").exists());
        let card = crate::score::fold(&drill.records());
        let text = table(&card);
        assert!(text.contains("users") && text.contains("exit code 3"), "{text}");
    }
}
