//! A man page for each program and each of its verbs, made from the command line that the program itself parses.

use std::{collections::BTreeSet, fs, io, path::Path};

use clap_mangen::Man;

/// Programs for people are in section 1, daemons and what belongs to root in section 8.
const PEOPLE: &str = "1";
const ROOT: &str = "8";

/// Writes all pages into folders by their section, which are made where they are missing. Returns their names, such as
/// `firedrill-run.1`.
pub(crate) fn write(folder: &Path) -> io::Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let programs = [(firedrill::cli::command(), PEOPLE), (firedrill_agent::cli::command(), ROOT)];
    for (program, section) in programs {
        let mut program = program.disable_help_subcommand(true);
        program.build();
        let folder = folder.join(format!("man{section}"));
        fs::create_dir_all(&folder)?;
        page(&program, section, &folder, &mut names)?;
    }
    Ok(names)
}

fn page(
    command: &clap::Command,
    section: &str,
    folder: &Path,
    names: &mut BTreeSet<String>,
) -> io::Result<()> {
    let title = command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned();
    let name = format!("{title}.{section}");
    let mut text = Vec::new();
    Man::new(command.clone()).title(title.to_uppercase()).section(section).render(&mut text)?;
    fs::write(folder.join(&name), text)?;
    names.insert(name);
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        page(verb, section, folder, names)?;
    }
    Ok(())
}
