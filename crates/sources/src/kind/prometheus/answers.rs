//! Reads the answers of a Prometheus: values, and the ages and counts of the series behind them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::Question;
use crate::{
    excerpt::excerpt,
    points::{Behind, Point, merged},
};

/// The label by which series of a query for ages and counts are told apart. Its value is [`AGE`] or [`COUNT`] with an index.
pub(super) const BEHIND: &str = "firedrill";
/// Begins the label's value for an age. The index of the selector follows.
pub(super) const AGE: &str = "age-";
/// Begins the label's value for a count. The index of the selector or of the function over a range follows.
pub(super) const COUNT: &str = "count-";
/// The maximum difference between a moment of an answer and the moment that was asked for, in microseconds. Prometheus cuts times to milliseconds,
/// and [`micros`] rounds to them.
const CUT_US: i64 = 1_999;

/// The answer of a Prometheus. The form of its data depends on the question.
#[derive(Deserialize)]
pub(super) struct Answer<D> {
    /// `success` or `error`.
    status: String,
    data: Option<D>,
    /// The reason for which the Prometheus refuses the query.
    error: Option<String>,
    #[serde(flatten)]
    parts: Parts,
}

impl<D> Answer<D> {
    /// Returns the data.
    ///
    /// # Errors
    /// The Prometheus refuses the query, or the answer is not complete.
    pub(super) fn data(self) -> Result<Option<D>, String> {
        if self.status != "success" {
            return Err(format!("it refuses the query: {}", excerpt(&self.error.unwrap_or_default())));
        }
        self.parts.check_whole()?;
        Ok(self.data)
    }
}

/// The warning of an answer about parts that it lacks: one of several stores may not have answered.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Parts {
    warnings: Vec<String>,
    #[serde(rename = "isPartial")]
    is_partial: bool,
}

impl Parts {
    /// Refuses an answer that is not complete. Prometheus' remarks on the query are no sign of that.
    fn check_whole(&self) -> Result<(), String> {
        let remark =
            |text: &&String| !(text.starts_with("PromQL info") || text.starts_with("PromQL warning"));
        match self.warnings.iter().find(remark) {
            Some(why) => Err(format!("the answer is not whole: {}", excerpt(why))),
            None if self.is_partial => Err("the answer is not whole, as it says itself".to_owned()),
            None => Ok(()),
        }
    }
}

/// The data of an answer, by its type.
#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Matrix(Vec<Series>),
    Vector(Vec<Single>),
    Scalar(Sample),
    String(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Series {
    /// The labels, by name.
    #[serde(default)]
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<Sample>,
}

#[derive(Deserialize)]
struct Single {
    value: Option<Sample>,
}

/// A value at a moment: seconds since 1970, and the number as text.
#[derive(Deserialize)]
struct Sample(f64, String);

/// Reads the data of an answer.
fn data(status: u16, body: &[u8]) -> Result<Data, String> {
    let answer: Answer<Data> = serde_json::from_slice(body).map_err(|_| match status {
        200..=299 => {
            format!("the answer is not that of a Prometheus: {}", excerpt(&String::from_utf8_lossy(body)))
        }
        _ => format!("status {status}: {}", excerpt(&String::from_utf8_lossy(body))),
    })?;
    match answer.data()? {
        Some(Data::String(_)) | None => Err("the query's value is not a number".to_owned()),
        Some(data) => Ok(data),
    }
}

/// Reads the points of all series of an answer.
pub(super) fn points(status: u16, body: &[u8]) -> Result<Vec<Point>, String> {
    let series: Vec<Vec<Sample>> = match data(status, body)? {
        Data::Matrix(series) => series.into_iter().map(|series| series.values).collect(),
        Data::Vector(singles) => {
            singles.into_iter().filter_map(|single| single.value).map(|sample| vec![sample]).collect()
        }
        Data::Scalar(sample) => vec![vec![sample]],
        Data::String(_) => Vec::new(),
    };
    let point = |sample: Sample| Ok(Point::of(micros(sample.0), sample.number()?));
    let points = |samples: Vec<Sample>| samples.into_iter().map(point).collect::<Result<Vec<_>, String>>();
    Ok(merged(series.into_iter().map(points).collect::<Result<Vec<_>, String>>()?))
}

/// Reads the ages and counts that a query of `behind_query` asked for. Leaves out counts and moments that `question` did not ask for:
/// a wrong answer could take any amount of memory with them.
pub(super) fn behind(question: &Question, status: u16, body: &[u8]) -> Result<Vec<Behind>, String> {
    let counts = question.query.matches(&format!("\"{BEHIND}\", \"{COUNT}")).count();
    let asked = question.from_us.saturating_sub(CUT_US)..=question.until_us.saturating_add(CUT_US);
    let Data::Matrix(series) = data(status, body)? else {
        return Err("the answer has no series of ages".to_owned());
    };
    let mut by_time: BTreeMap<i64, Behind> = BTreeMap::new();
    for series in series {
        let name = series.metric.get(BEHIND).map(String::as_str).unwrap_or_default();
        let index = name.strip_prefix(COUNT).and_then(|index| index.parse::<usize>().ok());
        if index.is_some_and(|index| index >= counts) {
            continue;
        }
        for sample in series.values {
            let (at_us, value) = (micros(sample.0), sample.number()?);
            if !asked.contains(&at_us) {
                continue;
            }
            let moment = by_time.entry(at_us).or_insert_with(|| Behind { at_us, ..Behind::default() });
            match index {
                Some(index) => {
                    moment.series.resize(moment.series.len().max(index + 1), 0);
                    moment.series[index] = whole(value);
                }
                None => moment.age = Some(moment.age.map_or(value, |age| age.max(value))),
            }
        }
    }
    let most = by_time.values().map(|moment| moment.series.len()).max().unwrap_or(0);
    by_time.values_mut().for_each(|moment| moment.series.resize(most, 0));
    Ok(by_time.into_values().collect())
}

/// Rounds a count of series, which Prometheus gives as a float.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float is cut at the ends of the range"
)]
const fn whole(value: f64) -> u32 {
    value.round() as u32
}

impl Sample {
    fn number(&self) -> Result<f64, String> {
        self.1.parse::<f64>().map_err(|_| format!("`{}` is not a number", excerpt(&self.1)))
    }
}

/// Converts seconds to microseconds. Rounds to milliseconds, as Prometheus has no finer times.
#[expect(clippy::cast_possible_truncation, reason = "a float is cut at the ends of the range")]
fn micros(seconds: f64) -> i64 {
    (seconds * 1_000.0).round() as i64 * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_all_forms_are_read() {
        let matrix = br#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"instance":"a"},"values":[[1795723089.500,"0.5"],[1795723090.500,"NaN"]]},
            {"metric":{"instance":"b"},"values":[[1795723089.500,"+Inf"]]}]}}"#;
        let read = points(200, matrix).expect("an answer");
        assert_eq!(read.len(), 2);
        assert_eq!(
            (read[0].at_us, read[0].low, read[0].high, read[0].series),
            (1_795_723_089_500_000, 0.5, f64::INFINITY, 2)
        );
        assert!(read[1].nan && !read[0].nan);
        let empty = br#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert_eq!(points(200, empty), Ok(Vec::new()));
        let part = |more: &str| {
            let text =
                format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[]}},{more}}}"#);
            points(200, text.as_bytes())
        };
        assert_eq!(part(r#""warnings":["PromQL info: metric might not be a counter"]"#), Ok(Vec::new()));
        for partial in [r#""warnings":["store b: no such host"]"#, r#""isPartial":true"#] {
            assert!(part(partial).is_err_and(|why| why.contains("is not whole")), "{partial}");
        }
        let scalar = br#"{"status":"success","data":{"resultType":"scalar","result":[1795723089.5,"7"]}}"#;
        assert_eq!(points(200, scalar).expect("a number")[0].low, 7.0);
    }

    #[test]
    fn a_refusal_has_the_reason_of_the_answer() {
        let bad = br#"{"status":"error","errorType":"bad_data","error":"1:4: parse error: unclosed left parenthesis"}"#;
        let why = points(400, bad).expect_err("a refusal");
        assert_eq!(why, "it refuses the query: 1:4: parse error: unclosed left parenthesis");
        assert_eq!(points(502, b"Bad Gateway\n").expect_err("no JSON"), "status 502: Bad Gateway");
        let text = br#"{"status":"success","data":{"resultType":"string","result":[1,"x"]}}"#;
        assert_eq!(points(200, text).expect_err("a text"), "the query's value is not a number");
    }
}
