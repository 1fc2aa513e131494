//! Renders pages from templates, and has the files that they load: style, scripts and icon. All values are escaped, except the HTML and SVG that
//! other templates and `judge` have made.

use std::sync::LazyLock;

use firedrill_judge::report::STYLE;
use minijinja::{Environment, Value, context, value::Serde};
use serde::Serialize;

use crate::{secret::sha256, store::Session};

/// A file that pages load. Its path has a part of its digest, so that browsers may keep the file for ever.
pub(crate) struct Asset {
    /// The path in URLs.
    pub(crate) path: String,
    /// The content type.
    pub(crate) kind: &'static str,
    /// The content.
    pub(crate) text: String,
}

impl Asset {
    /// Makes a file. `end` is the extension of its name, `kind` the content type.
    fn new(end: &str, kind: &'static str, text: String) -> Self {
        let digest = sha256(text.as_bytes());
        Self { path: format!("/room-{}.{end}", &digest[..16]), kind, text }
    }
}

pub(crate) static STYLES: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("css", "text/css; charset=utf-8", format!("{STYLE}{}", include_str!("templates/room.css")))
});
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("js", "text/javascript; charset=utf-8", include_str!("templates/room.js").to_owned())
});
pub(crate) static PASSKEYS: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("js", "text/javascript; charset=utf-8", include_str!("templates/passkey.js").to_owned())
});
pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("svg", "image/svg+xml", include_str!("templates/icon.svg").to_owned()));

macro_rules! templates {
    ($($name:literal),* $(,)?) => {
        /// The templates, by their names.
        const TEMPLATES: &[(&str, &str)] = &[$((concat!($name, ".html"), include_str!(concat!("templates/", $name, ".html")))),*];
    };
}
templates![
    "layout",
    "error",
    "login",
    "home",
    "runs",
    "run",
    "head",
    "state",
    "axis",
    "people",
    "link",
    "audit",
    "finding",
    "findings",
    "history",
    "trend",
    "calendar",
    "gameday",
    "messages",
    "token",
    "scenarios",
    "scenario",
    "plan",
    "fleets",
    "fleet",
    "passkeys",
    "approve"
];

static PAGES: LazyLock<Result<Environment<'static>, minijinja::Error>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    for (name, text) in TEMPLATES {
        pages.add_template(name, text)?;
    }
    Ok(pages)
});

/// Converts data into a value for templates.
pub(crate) fn value<T: Serialize>(data: &T) -> Value {
    Value::from(Serde(data))
}

/// Renders one template, which is a part of a page.
///
/// # Errors
/// A template is wrong, which is a bug.
pub(crate) fn part(name: &str, values: Value) -> Result<String, String> {
    let pages = PAGES.as_ref().map_err(ToString::to_string)?;
    let made = || pages.get_template(&format!("{name}.html"))?.render(values);
    // In server-sent events a carriage return would end a line.
    made().map(|text| text.replace('\r', " ")).map_err(|error| format!("{error:#}"))
}

/// Renders a page inside the layout that all pages have. `place` is the item of the navigation to which the page belongs.
///
/// # Errors
/// A template is wrong, which is a bug.
pub(crate) fn render(
    name: &str,
    (title, place): (&str, &str),
    who: Option<&Session>,
    values: Value,
) -> Result<String, String> {
    let body = part(name, values)?;
    let who = who.map(|session| context! { name => &session.name, role => session.role.word() });
    let (style, icon) = (&STYLES.path, &ICON.path);
    part("layout", context! { title, place, who, body, style, icon })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_templates_are_right_and_values_are_escaped() {
        let pages = PAGES.as_ref().unwrap();
        assert_eq!(pages.templates().count(), TEMPLATES.len());
        let nasty = "<script>alert('x')</script>";
        let page = render("error", (nasty, ""), None, context! { heading => nasty, text => nasty }).unwrap();
        assert!(!page.contains("<script"), "{page}");
        // In the title, the heading and the text.
        assert!(page.matches("&lt;script&gt;").count() >= 3, "{page}");
    }

    #[test]
    fn templates_have_no_script_and_no_style_of_their_own() {
        for (name, text) in TEMPLATES {
            for forbidden in [" style=", "<style", "javascript:", " onclick", " onsubmit", " onload"] {
                assert!(!text.contains(forbidden), "{name} has `{forbidden}`, which the policy forbids");
            }
            let scripts = text.matches("<script").count();
            assert_eq!(
                scripts,
                text.matches("<script src=").count() + text.matches("<script defer src=").count(),
                "{name}"
            );
        }
    }
}
