//! `report.md`: the summary for tickets, chat and pull requests.

use std::fmt::Write as _;

use super::{
    Input,
    view::{AttackView, View},
};
use crate::verdict::Verdict;

/// Renders the file.
pub(super) fn render(input: &Input<'_>) -> Vec<u8> {
    let view = View::of(input);
    let mut text = format!("# {}: {}\n\n{}\n", plain(&view.title), view.verdict, plain(&view.story));
    if !view.alarm.is_empty() {
        let _ = write!(text, "\n**{}**\n", plain(&view.alarm));
    }
    if let Some(promise) = &view.promise {
        let sentence =
            format!("The promise: “{}” {}, because {}.", promise.text, promise.said, promise.because);
        let _ = write!(text, "\n> {}\n", plain(&sentence));
    }
    for why in view.why.iter().chain(&view.warnings) {
        let _ = write!(text, "\n- {}", plain(why));
    }
    if !view.why.is_empty() || !view.warnings.is_empty() {
        text.push('\n');
    }
    for sentence in view.budgets.iter().chain(&view.before) {
        let _ = write!(text, "\n{}\n", plain(sentence));
    }
    table(&mut text, &["", ""], view.meta.iter().map(|(key, value)| vec![(*key).to_owned(), value.clone()]));
    text.push_str("\n## Attacks\n");
    // The column of alerts is left out if no attack has one.
    let alerts = view.attacks.iter().any(|attack| !attack.alerts.is_empty());
    let mut head = vec!["", "attack", "verdict", "score", "errors in the fault"];
    head.extend(alerts.then_some("detected after"));
    head.extend(["mitigated after", "recovered after", "longest total outage", "partial failure"]);
    table(
        &mut text,
        &head,
        view.attacks.iter().map(|attack| {
            let mut row = vec![
                attack.number.to_string(),
                attack.name.clone(),
                attack.verdict.to_owned(),
                attack.score.clone(),
                attack.errors.clone(),
            ];
            row.extend(alerts.then(|| attack.detected.clone()));
            row.extend([
                attack.mitigated.clone(),
                attack.recovered.clone(),
                attack.outage.clone(),
                attack.partial.clone(),
            ]);
            row
        }),
    );
    for attack in &view.attacks {
        let _ = write!(text, "\n### {} {}: {}\n", attack.number, plain(&attack.name), attack.verdict);
        for means in &attack.means {
            let _ = write!(text, "\n{}\n", plain(means));
        }
        for why in &attack.why {
            let _ = write!(text, "\n- {}", plain(why));
        }
        if !attack.why.is_empty() {
            text.push('\n');
        }
        if !attack.ran {
            disagreements(&mut text, attack);
            failures(&mut text, attack);
            continue;
        }
        table(
            &mut text,
            &["objective", "wanted", "measured", "likely", "requests", "verdict", "why"],
            attack.objectives.iter().map(|one| {
                vec![
                    one.name.clone(),
                    one.goal.clone(),
                    one.measured.clone(),
                    one.range.clone(),
                    one.samples.clone(),
                    one.verdict.to_owned(),
                    // The reasons of a violation are above the table.
                    if one.verdict == Verdict::Unknown.word() { one.why.clone() } else { String::new() },
                ]
            }),
        );
        for one in attack.objectives.iter().filter(|one| !one.budget.is_empty()) {
            let _ = write!(text, "\n{}\n", plain(&format!("{}: {}", one.name, one.budget)));
        }
        let metrics = || attack.objectives.iter().filter_map(|one| Some((one, one.metric.as_ref()?)));
        if metrics().next().is_some() {
            table(
                &mut text,
                &["metric", "source and query", "worst", "samples", "not known"],
                metrics().map(|(one, metric)| {
                    let asks = format!("{}: {}", one.probe, metric.asks);
                    vec![
                        one.name.clone(),
                        asks,
                        one.measured.clone(),
                        one.samples.clone(),
                        metric.gaps.join("; "),
                    ]
                }),
            );
        }
        if !attack.alerts.is_empty() {
            table(
                &mut text,
                &["alert", "source", "detected after", "resolved after", "seen firing", "asked"],
                attack.alerts.iter().map(|one| {
                    vec![
                        one.alert.clone(),
                        one.source.clone(),
                        one.detected.clone(),
                        one.resolved.clone(),
                        one.firing.clone(),
                        one.asked.clone(),
                    ]
                }),
            );
        }
        table(
            &mut text,
            &["fault", "in force for", "in force", "exercised", "count"],
            attack.injections.iter().map(|one| {
                vec![
                    one.what.clone(),
                    one.held.clone(),
                    one.in_force.to_owned(),
                    one.exercised.to_owned(),
                    one.count.clone(),
                ]
            }),
        );
        if !attack.exchanges.is_empty() {
            table(
                &mut text,
                &["tried out", "path", "by", "before", "during", "after", ""],
                attack.exchanges.iter().map(|one| {
                    vec![
                        one.fault.clone(),
                        one.path.clone(),
                        one.way.clone(),
                        one.before.clone(),
                        one.during.clone(),
                        one.after.clone(),
                        one.says.clone(),
                    ]
                }),
            );
        }
        if !attack.writes.is_empty() {
            table(
                &mut text,
                &["writes", "read back", "acknowledged", "lost", "also", "first lost"],
                attack.writes.iter().map(|one| {
                    vec![
                        format!("{}, {}", one.probe, one.vantage),
                        one.when.to_owned(),
                        one.acked.clone(),
                        one.lost.clone(),
                        one.also.clone(),
                        one.examples.join("; "),
                    ]
                }),
            );
        }
        logs(&mut text, attack);
        disagreements(&mut text, attack);
        failures(&mut text, attack);
    }
    if !view.steps.is_empty() {
        text.push_str("\n## Steps\n");
        table(
            &mut text,
            &["", "step", "kind", "what", "from – to", "outcome", "", "put back"],
            view.steps.iter().map(|one| {
                let reason = [&one.why].into_iter().chain(&one.lines).map(String::as_str);
                let back =
                    if one.undo.is_empty() { String::new() } else { format!("{}: {}", one.undo, one.back) };
                vec![
                    one.number.to_string(),
                    one.name.clone(),
                    one.kind.clone(),
                    one.says.clone(),
                    one.when.clone(),
                    one.word.to_owned(),
                    reason.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("; "),
                    back,
                ]
            }),
        );
    }
    if !view.findings.is_empty() {
        text.push_str("\n## Findings\n");
        table(
            &mut text,
            &["finding", "what", "", "severity", "owner", "ticket", "follow-up", "note"],
            view.findings.iter().map(|one| {
                vec![
                    one.id.clone(),
                    one.what.clone(),
                    one.course.clone(),
                    one.severity.clone(),
                    one.owner.clone(),
                    one.ticket.clone(),
                    one.follow_up.clone(),
                    one.note.clone(),
                ]
            }),
        );
    }
    if !view.notes.is_empty() {
        text.push_str("\n## Notes\n");
        table(
            &mut text,
            &["time", "by", "note"],
            view.notes.iter().map(|one| vec![one.at.clone(), one.who.clone(), one.what.clone()]),
        );
    }
    text.push_str("\n## Hosts\n");
    table(
        &mut text,
        &["host", "ended", "compared", "what of ours remains"],
        view.hosts.iter().map(|host| {
            vec![host.host.clone(), host.state.to_owned(), host.compared.clone(), host.ours.join("; ")]
        }),
    );
    text.into_bytes()
}

/// Writes the sentences about vantages that disagree.
fn disagreements(text: &mut String, attack: &AttackView) {
    let fewer = non_empty(&attack.fewer_disagreements);
    for sentence in attack.disagreements.iter().map(String::as_str).chain(fewer) {
        let _ = write!(text, "\n{}\n", plain(sentence));
    }
}

/// Writes the table of logs with their first matching lines; nothing if the attack has no logs.
fn logs(text: &mut String, attack: &AttackView) {
    if attack.logs.is_empty() {
        return;
    }
    table(
        text,
        &["log", "host", "phase", "matching lines", "not known", "first lines"],
        attack.logs.iter().map(|one| {
            let lines: Vec<String> =
                one.lines.iter().map(|line| format!("{} {}", line.at, line.text)).collect();
            vec![
                one.log.clone(),
                one.host.clone(),
                one.phase.clone(),
                one.count.clone(),
                one.why.clone(),
                lines.join("; "),
            ]
        }),
    );
    if let Some(sentence) = non_empty(&attack.fewer_logs) {
        let _ = write!(text, "\n{sentence}\n");
    }
}

/// Returns a text; `None` if it is empty.
fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// Writes the table of causes of failed requests; nothing if there are none.
fn failures(text: &mut String, attack: &AttackView) {
    if attack.causes.is_empty() {
        return;
    }
    table(
        text,
        &["phase", "probe", "from", "bad", "causes", "slipped"],
        attack.causes.iter().map(|one| {
            let aside = if one.counts { "" } else { " (does not count)" };
            vec![
                one.phase.to_owned(),
                one.probe.clone(),
                format!("{}{aside}", one.vantage),
                one.bad.clone(),
                one.causes.clone(),
                one.slipped.clone(),
            ]
        }),
    );
    if let Some(sentence) = non_empty(&attack.fewer_causes) {
        let _ = write!(text, "\n{sentence}\n");
    }
}

/// Writes a table with escaped cells, or the word `none` if it has no rows.
fn table(text: &mut String, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let mut rows = rows.peekable();
    if rows.peek().is_none() {
        text.push_str("\nnone\n");
        return;
    }
    let _ = write!(text, "\n| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| plain(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

/// Escapes the markup of Markdown, and replaces line breaks by blanks.
fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '|' | '*' | '_' | '`' | '[' | ']' | '<' | '\\' | '#' => {
                safe.push('\\');
                safe.push(letter);
            }
            '\n' | '\r' => safe.push(' '),
            other => safe.push(other),
        }
    }
    safe
}
