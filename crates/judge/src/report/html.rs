//! `report.html`: one file for people. Works offline, without scripts, on phones, in dark mode and in print.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minijinja::{Environment, Value, context, value::Serde};
use ring::digest::{SHA256, digest};

use super::{data, error::ReportError, input::Input, style::STYLE, view::View};

/// Renders the page.
pub(super) fn render(input: &Input<'_>) -> Result<Vec<u8>, ReportError> {
    let mut pages = Environment::new();
    pages.add_template("report.html", include_str!("page.html"))?;
    let names = input.drawn.names.clone();
    pages.add_filter("places", move |name: Value| match name.as_str() {
        Some(name) => names.refer([name]),
        None => {
            let all: Vec<String> = name.try_iter().into_iter().flatten().map(|one| one.to_string()).collect();
            names.refer(all.iter().map(String::as_str))
        }
    });
    let style = STYLE;
    let script = include_str!("page.js");
    let view = View::of(input);
    let data = data::json(input, &view)?;
    // The page runs these texts and no others, whatever gets into it.
    let [style_hash, script_hash] =
        [style, script].map(|text| format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes()))));
    let view = Value::from(Serde(view));
    let page = pages
        .get_template("report.html")?
        .render(context! { view, style, script, data, style_hash, script_hash })?;
    Ok(page.into_bytes())
}
