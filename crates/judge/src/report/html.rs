//! `report.html`: one file for people. Works offline, without scripts, on phones, in dark mode and in print.

use minijinja::{Environment, Value, context, value::Serde};

use super::{error::ReportError, input::Input, style::STYLE, view::View};

/// Renders the page.
pub(super) fn render(input: &Input<'_>) -> Result<Vec<u8>, ReportError> {
    let mut pages = Environment::new();
    pages.add_template("report.html", include_str!("page.html"))?;
    let view = Value::from(Serde(View::of(input)));
    let page = pages.get_template("report.html")?.render(context! { view, style => STYLE })?;
    Ok(page.into_bytes())
}
