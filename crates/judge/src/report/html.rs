//! `report.html`: one file for people. Works offline, with scripts switched off, on phones, in dark mode and in print.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minijinja::{Environment, Value, context, value::Serde};
use ring::digest::{SHA256, digest};

use super::{data, error::ReportError, input::Input, style::STYLE, view::View};

/// Renders the page.
pub(super) fn render(input: &Input<'_>) -> Result<Vec<u8>, ReportError> {
    let mut pages = Environment::new();
    pages.add_template("report.html", include_str!("page.html"))?;
    let names = input.drawn.names.clone();
    // The filter `places` turns a name, or a list of names, into indexes for the page's script.
    pages.add_filter("places", move |value: Value| match value.as_str() {
        Some(name) => names.refer([name]),
        None => {
            let list: Vec<String> =
                value.try_iter().into_iter().flatten().map(|name| name.to_string()).collect();
            names.refer(list.iter().map(String::as_str))
        }
    });
    let style = STYLE;
    let script = include_str!("page.js");
    let view = View::of(input);
    let data = data::json(input, &view)?;
    // The page's content security policy allows only this style and this script, so no text in the data can run as code.
    let [style_hash, script_hash] =
        [style, script].map(|text| format!("'sha256-{}'", STANDARD.encode(digest(&SHA256, text.as_bytes()))));
    let view = Value::from(Serde(view));
    let page = pages
        .get_template("report.html")?
        .render(context! { view, style, script, data, style_hash, script_hash })?;
    Ok(page.into_bytes())
}
