//! `trace.json`: a run as spans of OpenTelemetry, in the JSON of OTLP (`ExportTraceServiceRequest`, the body of a POST to `/v1/traces`).
//!
//! The run is the root span. Attacks are its children; phases and injections are children of their attack. Ids are derived from the run's id, so a
//! trace that is sent twice is the same trace. Only renders; sends nothing.
//!
//! Source of the format: opentelemetry-proto 1.x, `trace.proto`, and "JSON Protobuf Encoding" of the OTLP specification: ids in hexadecimal,
//! 64-bit numbers as strings, enums as numbers.

use firedrill_files::text::hex;
use firedrill_plan::plan::model::Attack;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{ReportError, input::Input};
use crate::{
    score::card::{AttackCard, Course, InjectionCard, phase_word, state_word},
    verdict::{Exit, Verdict},
};

/// `SPAN_KIND_INTERNAL`, the kind of all spans.
const INTERNAL: u8 = 1;
/// `STATUS_CODE_OK`.
const OK: u8 = 1;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;
/// Length of the id of a trace, in hexadecimal digits.
const TRACE_ID: usize = 32;
/// Length of the id of a span, in hexadecimal digits.
const SPAN_ID: usize = 16;

/// Renders the file. It has no spans if the log does not say when the run began.
///
/// # Errors
/// The JSON could not be made.
pub(super) fn render(input: &Input<'_>) -> Result<Vec<u8>, ReportError> {
    let card = &input.card;
    let began = humantime::parse_rfc3339_weak(input.facts.wall).ok();
    let began = began.and_then(|began| began.duration_since(std::time::UNIX_EPOCH).ok());
    let run = card.run.as_deref().unwrap_or_default();
    let zero_us = began.map_or(0, |began| i128::try_from(began.as_micros()).unwrap_or(0));
    let trace = Trace { run, zero_us };
    // A log without its beginning does not give the time of day. Its spans would be in 1970, so they are left out.
    let spans = if began.is_some() { trace.spans(input) } else { Vec::new() };
    let mut resource = vec![
        text("service.name", "firedrill"),
        text("service.version", input.facts.version),
        text("firedrill.scenario", &card.name),
    ];
    resource.extend(input.environment().map(|name| text("deployment.environment.name", name)));
    let scope = json!({ "name": "firedrill", "version": input.facts.version });
    let body = json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{ "scope": scope, "spans": spans }],
    }] });
    Ok(serde_json::to_vec_pretty(&body)?)
}

/// The trace of a run.
struct Trace<'a> {
    run: &'a str,
    /// Time 0 of the run's clock, in microseconds since 1970.
    zero_us: i128,
}

/// A span before it is converted to OTLP. Times are in microseconds on the run's clock.
struct Span {
    name: String,
    /// The names on the path from the root to this span. The path is unique in the trace, and empty for the root.
    path: Vec<String>,
    from_us: i64,
    until_us: i64,
    attributes: Vec<Value>,
    events: Vec<Value>,
    status: Value,
}

impl Trace<'_> {
    /// Returns all spans of the run, the root first.
    fn spans(&self, input: &Input<'_>) -> Vec<Value> {
        let card = &input.card;
        let hosts = card.hosts.iter().map(|host| format!("{} {}", host.host, state_word(host.state)));
        let mut attributes = vec![
            text("firedrill.run", self.run),
            text("firedrill.verdict", card.verdict.word()),
            text("firedrill.result", Exit::of_code(card.exit).word()),
            number("firedrill.exit_code", i64::from(card.exit)),
            text("firedrill.operator", input.facts.operator),
            text("firedrill.hypothesis", &card.hypothesis),
            text("firedrill.ended", &card.ended),
            list("firedrill.hosts", hosts),
        ];
        attributes.extend(card.score.map(|score| number("firedrill.score", i64::from(score))));
        let root = Span {
            name: format!("firedrill {}", card.name),
            path: Vec::new(),
            from_us: 0,
            until_us: card.end_us,
            attributes,
            events: Vec::new(),
            status: {
                let why = if card.why.is_empty() { std::slice::from_ref(&card.story) } else { &card.why };
                // A run that may have left something behind is an error, whatever its verdict is.
                let unclean = Exit::of_code(card.exit) == Exit::Unclean;
                status(Some(if unclean { Verdict::Violated } else { card.verdict }), why)
            },
        };
        let mut spans = vec![self.span(&root)];
        for attack in &card.attacks {
            let planned = input.facts.plan.and_then(|plan| plan.attacks.get(attack.index));
            spans.extend(self.attack(attack, planned, card.end_us));
        }
        spans
    }

    /// Returns the span of an attack, followed by the spans of its phases and injections. Empty if the attack did not begin.
    fn attack(&self, attack: &AttackCard, planned: Option<&Attack>, end_us: i64) -> Vec<Value> {
        let phases = &attack.phases;
        let (Some(first), false) = (phases.first(), attack.course.not_begun().is_some()) else {
            return Vec::new();
        };
        let until_us =
            phases.iter().map(|phase| phase.until_us).chain(attack.healed_us).max().unwrap_or(end_us);
        let path = vec![format!("attack-{}", attack.index + 1)];
        let course = match &attack.course {
            Course::Ran => "ran".to_owned(),
            Course::Aborted(why) => format!("aborted: {why}"),
            Course::Cut => "its log is cut".to_owned(),
            Course::NotRun(why) => format!("not run: {why}"),
            Course::Spared(why) => format!("spared: {why}"),
        };
        let objectives = attack
            .objectives
            .iter()
            .map(|objective| format!("{}: {}: {}", objective.name, objective.verdict, objective.why));
        let mut attributes = vec![
            number("firedrill.attack", i64::try_from(attack.index).unwrap_or(i64::MAX).saturating_add(1)),
            text("firedrill.course", &course),
            list("firedrill.objectives", objectives),
        ];
        attributes.extend(attack.verdict.map(|verdict| text("firedrill.verdict", verdict.word())));
        attributes.extend(attack.score.map(|score| number("firedrill.score", i64::from(score))));
        let mut spans = vec![self.span(&Span {
            name: attack.name.clone(),
            path: path.clone(),
            from_us: first.from_us,
            until_us,
            attributes,
            events: Vec::new(),
            status: status(attack.verdict, &attack.why),
        })];
        spans.extend(phases.iter().map(|phase| {
            let word = phase_word(phase.phase);
            self.span(&Span {
                name: word.to_owned(),
                path: vec![path[0].clone(), word.to_owned()],
                from_us: phase.from_us,
                until_us: phase.until_us,
                attributes: Vec::new(),
                events: Vec::new(),
                status: json!({}),
            })
        }));
        let injections = attack.injections.iter().enumerate();
        spans.extend(injections.filter_map(|(index, card)| {
            let planned = planned.and_then(|planned| planned.injections.get(index));
            let reversible = planned.is_none_or(|planned| planned.fault.reversible());
            self.injection(&path, index, (card, reversible), until_us)
        }));
        spans
    }

    /// Returns the span of an injection. It begins when the fault was in force. It ends when the fault ended, or at `attack_until_us` if its
    /// end is not known. `None` if the fault never was in force. A reversible fault ends as `put back`, an irreversible one as `done`.
    fn injection(
        &self,
        attack_path: &[String],
        index: usize,
        (card, reversible): (&InjectionCard, bool),
        attack_until_us: i64,
    ) -> Option<Value> {
        let from_us = card.in_force_us?;
        let mut events = vec![self.event(from_us, "in force")];
        events
            .extend(card.undoing_us.filter(|_| reversible).map(|at_us| self.event(at_us, "being put back")));
        let end = if reversible { "put back" } else { "done" };
        events.extend(card.ended_us.map(|at_us| self.event(at_us, end)));
        let mut attributes = vec![
            text("host.name", &card.host),
            text("firedrill.fault", &card.kind),
            list("firedrill.effects", card.effects.iter().cloned()),
            list("firedrill.undo", card.undo.iter().cloned()),
            text("firedrill.evidence", &card.detail),
        ];
        attributes.extend(card.id.as_ref().map(|id| text("firedrill.injection", id.as_str())));
        let status = match card.ended_us {
            None if reversible => {
                json!({ "code": ERROR, "message": "the log does not show that it was put back" })
            }
            _ => json!({}),
        };
        Some(self.span(&Span {
            name: format!("{} on {}", card.kind, card.host),
            path: [attack_path, &[format!("injection-{index}")]].concat(),
            from_us,
            until_us: card.ended_us.unwrap_or(attack_until_us).max(from_us),
            attributes,
            events,
            status,
        }))
    }

    /// Converts a span to the JSON of OTLP.
    fn span(&self, span: &Span) -> Value {
        let mut value = json!({
            "traceId": self.id(&[], TRACE_ID),
            "spanId": self.id(&span.path, SPAN_ID),
            "name": span.name,
            "kind": INTERNAL,
            "startTimeUnixNano": self.nanos(span.from_us),
            "endTimeUnixNano": self.nanos(span.until_us),
            "attributes": span.attributes,
            "events": span.events,
            "status": span.status,
        });
        if let Some((_, parent)) = span.path.split_last() {
            value["parentSpanId"] = json!(self.id(parent, SPAN_ID));
        }
        value
    }

    /// Returns an event of a span; `at_us` is in microseconds on the run's clock.
    fn event(&self, at_us: i64, name: &str) -> Value {
        json!({ "timeUnixNano": self.nanos(at_us), "name": name })
    }

    /// Converts a time of the run's clock, in microseconds, to nanoseconds since 1970, as a string of digits.
    fn nanos(&self, at_us: i64) -> String {
        ((self.zero_us + i128::from(at_us)).max(0) * 1000).to_string()
    }

    /// Returns the id of the span with this path, with this number of digits. The empty path also gives the id of the trace.
    fn id(&self, path: &[String], digits: usize) -> String {
        let name = format!("firedrill trace {}/{}", self.run, path.join("/"));
        hex(digest(&SHA256, name.as_bytes()).as_ref())[..digits].to_owned()
    }
}

/// Returns a span's status by its verdict. `unknown` is neither OK nor an error, so the status stays unset, and only the attribute
/// `firedrill.verdict` has it.
fn status(verdict: Option<Verdict>, why: &[String]) -> Value {
    match verdict {
        Some(Verdict::Held) => json!({ "code": OK }),
        Some(Verdict::Violated) => json!({ "code": ERROR, "message": why.join("; ") }),
        Some(Verdict::Unknown) | None => json!({}),
    }
}

/// Returns an attribute with a text.
fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

/// Returns an attribute with a whole number.
fn number(key: &str, value: i64) -> Value {
    json!({ "key": key, "value": { "intValue": value.to_string() } })
}

/// Returns an attribute with a list of texts.
fn list(key: &str, values: impl Iterator<Item = String>) -> Value {
    let values: Vec<Value> = values.map(|value| json!({ "stringValue": value })).collect();
    json!({ "key": key, "value": { "arrayValue": { "values": values } } })
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use firedrill_wire::{Fault, api::HostState, fault::HostPoweroff, journal::State};

    use super::*;
    use crate::{log::Log, testing::Drill};

    fn spans(drill: &Drill) -> Vec<Value> {
        let log = Log::of(&drill.records());
        let body: Value = serde_json::from_slice(&render(&Input::new(&log)).unwrap()).unwrap();
        body["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone()
    }

    fn moment(span: &Value, key: &str) -> u128 {
        span[key].as_str().unwrap().parse().unwrap()
    }

    #[test]
    fn a_run_is_one_tree_and_each_span_lies_within_its_parent() {
        let spans = spans(&Drill::good());
        let by_id: HashMap<&str, &Value> =
            spans.iter().map(|span| (span["spanId"].as_str().unwrap(), span)).collect();
        assert_eq!(by_id.len(), spans.len(), "no two spans have the same id");
        let traces: HashSet<&str> = spans.iter().map(|span| span["traceId"].as_str().unwrap()).collect();
        assert_eq!(traces.len(), 1);
        assert!(traces.iter().all(|id| id.len() == TRACE_ID));
        assert_eq!(spans.iter().filter(|span| span.get("parentSpanId").is_none()).count(), 1, "one root");
        for span in &spans {
            assert!(moment(span, "startTimeUnixNano") <= moment(span, "endTimeUnixNano"), "{span}");
            assert!(moment(span, "startTimeUnixNano") > 1_600_000_000_000_000_000, "{span}");
            let Some(parent) = span["parentSpanId"].as_str() else { continue };
            let parent = by_id[parent];
            assert!(
                moment(parent, "startTimeUnixNano") <= moment(span, "startTimeUnixNano"),
                "{span}\n{parent}"
            );
            assert!(moment(parent, "endTimeUnixNano") >= moment(span, "endTimeUnixNano"), "{span}\n{parent}");
        }
        let names: Vec<&str> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
        for name in ["baseline", "fault", "recovery"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(names.iter().any(|name| name.contains(" on ")), "an injection: {names:?}");
    }

    #[test]
    fn a_violated_verdict_is_an_error_unknown_is_unset_and_ids_are_stable() {
        let held = spans(&Drill::good());
        assert!(held.iter().all(|span| span["status"]["code"] != ERROR));
        assert_eq!(held[0]["status"]["code"], OK);
        assert_eq!(held, spans(&Drill::good()));
        let mut failing = Drill::one();
        failing.acts[0].bad = vec![(0..400, 100)];
        let violated = spans(&failing);
        assert_eq!(violated[0]["status"]["code"], ERROR);
        assert!(!violated[0]["status"]["message"].as_str().unwrap().is_empty());
        let mut unmeasured = Drill::one();
        unmeasured.bins = Box::new(|_, _, _| None);
        assert_eq!(spans(&unmeasured)[0]["status"], json!({}));
    }

    /// Returns the names of an injection's events, and the code of its status.
    fn injection(drill: &Drill) -> (Vec<String>, Value) {
        let spans = spans(drill);
        let span = spans.iter().find(|span| span["name"].as_str().unwrap().contains(" on ")).unwrap();
        let events = span["events"].as_array().unwrap();
        let names = events.iter().map(|event| event["name"].as_str().unwrap().to_owned()).collect();
        (names, span["status"]["code"].clone())
    }

    #[test]
    fn an_irreversible_fault_is_done_and_never_put_back() {
        let mut drill = Drill::one();
        assert_eq!(injection(&drill).0.last().unwrap(), "put back");
        drill.acts[0].end = State::Stuck;
        assert_eq!(injection(&drill).1, ERROR, "the log does not show that it was put back");
        drill.acts[0].fault = Fault::HostPoweroff(HostPoweroff {});
        assert_eq!(injection(&drill), (vec!["in force".to_owned()], Value::Null));
        drill.acts[0].fault =
            serde_json::from_value(json!({ "service-kill": { "service": "checkout" } })).unwrap();
        drill.acts[0].end = State::Done;
        let (names, code) = injection(&drill);
        assert_eq!((names.first().unwrap().as_str(), names.last().unwrap().as_str()), ("in force", "done"));
        assert!(!names.iter().any(|name| name.contains("put back")), "{names:?}");
        assert_eq!(code, Value::Null);
    }

    #[test]
    fn a_run_that_may_have_left_something_is_an_error_whatever_its_verdict() {
        let mut unclean = Drill::one();
        unclean.bins = Box::new(|_, _, _| None);
        unclean.ends[0].1 = HostState::Stuck;
        let root = &spans(&unclean)[0];
        assert_eq!(root["status"]["code"], ERROR, "{root}");
        assert!(!root["status"]["message"].as_str().unwrap().is_empty());
    }
}
