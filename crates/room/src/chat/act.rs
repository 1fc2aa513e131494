//! Carries out the wish of a person in a chat by the functions of the pages, and makes the answer with the result. Sends nothing.

use std::sync::Arc;

use firedrill_history::{Entry, address};
use firedrill_notify::chat::Action;

use super::{
    asked::Wish,
    said::{Said, part},
};
use crate::{
    actor::Actor,
    app::App,
    outside::{Decision, Slot, Wants},
    pages::{decide::decide_as, finding::add, halt::halt_as, note::write, run::said, steer::steer_as},
    role::Role,
    runs::Course,
    web::{
        answer::Answer,
        who::{blocking, may, slow},
    },
};

/// Maximum number of runs in an answer.
const RUNS: usize = 10;
/// Maximum number of slots in an answer.
const SLOTS: usize = 3;
/// Explains the words that a command takes.
const WORDS: &str = "`halt RUN` ends a run, and puts everything back · `note RUN TEXT` writes a note · `finding RUN TEXT` writes down what has to be mended · `refuse RUN NUMBER`: the run skips that attack, if it is \
                     the next one · `refuse GAMEDAY SLOT [REASON]`: the slot is not held · nothing behind the command shows what goes on";
/// The next step for a person whose role is not sufficient.
const HELP: &str = "Whoever runs the control room gives roles in its file of chats.";

/// Carries out a wish. If that fails, the answer says why.
pub(super) async fn act(app: &Arc<App>, actor: &Actor, wish: Wish) -> Said {
    let done = match wish {
        Wish::Look => look(app, actor.role).await,
        Wish::Halt { run } => halt(app, actor, &run).await,
        Wish::Note { run, text } => note(app, actor, run, text).await,
        Wish::Finding { run, text } => finding(app, actor, run, text).await,
        Wish::Skip { run, attack } => skip(app, actor, &run, attack).await,
        Wish::Refuse { gameday, slot, why } => refuse(app, actor, (gameday, slot), why).await,
        Wish::Approve => Ok(Said::of(format!(
            "Nothing was done: nobody approves or agrees in a chat. On {}/calendar people agree to a start; attacks are approved by `firedrill approve`.",
            app.origin
        ))),
        Wish::Unknown => Ok(Said::of(format!("Nothing was done, because this was not understood. {WORDS}"))),
    };
    done.unwrap_or_else(|Answer { text, help, .. }| Said::of(format!("{} {}", part(&text), part(&help))))
}

/// Returns the address of the page of a run.
fn page(app: &App, run: &str) -> String {
    format!("{}/runs/{}", app.origin, address(run))
}

async fn halt(app: &Arc<App>, actor: &Actor, run: &str) -> Result<Said, Answer> {
    may(app, actor, Role::Operator, ("halt", run), HELP).await?;
    let word = halt_as(app, actor.clone(), run).await?;
    let told = said(&word).unwrap_or(word);
    Ok(Said::of(format!("{}: {}\n{}", part(run), part(&told), page(app, run))))
}

async fn note(app: &Arc<App>, actor: &Actor, run: String, text: String) -> Result<Said, Answer> {
    may(app, actor, Role::Operator, ("note", &run), HELP).await?;
    let (writer, name) = (actor.clone(), run.clone());
    blocking(app, move |app| write(app, &writer, &name, &text)).await?;
    Ok(Said::of(format!("{}: the note is written.\n{}", part(&run), page(app, &run))))
}

async fn finding(app: &Arc<App>, actor: &Actor, run: String, text: String) -> Result<Said, Answer> {
    may(app, actor, Role::Operator, ("finding", &run), HELP).await?;
    let (writer, name) = (actor.clone(), run.clone());
    let found = blocking(app, move |app| add(app, &writer, &name, &text, (None, ""))).await?;
    Ok(Said::of(format!(
        "{}: the finding {} is written.\n{}/findings/{}",
        part(&run),
        part(&found.id),
        app.origin,
        address(&found.id)
    )))
}

/// Skips an attack. `number` is that of the attack, from 1.
async fn skip(app: &Arc<App>, actor: &Actor, run: &str, number: usize) -> Result<Said, Answer> {
    may(app, actor, Role::Operator, ("skip", run), HELP).await?;
    // People count attacks from 1, a plan counts from 0.
    let Some(index) = number.checked_sub(1) else {
        return Ok(Said::of("Nothing was done: attacks are counted from 1."));
    };
    let word = steer_as(app, actor.clone(), run, ("skip", Wants::Skip { attack: Some(index) })).await?;
    let told = said(&word).unwrap_or(word);
    Ok(Said::of(format!("{}: {}\n{}", part(run), part(&told), page(app, run))))
}

async fn refuse(
    app: &Arc<App>,
    actor: &Actor,
    (gameday, slot): (String, String),
    why: String,
) -> Result<Said, Answer> {
    may(app, actor, Role::Operator, ("skip", &format!("{gameday} {slot}")), HELP).await?;
    let (actor, done) = (actor.clone(), format!("{} of {} is not held.", part(&gameday), part(&slot)));
    blocking(app, move |app| decide_as(app, &actor, (&gameday, &slot), ("skip", &Decision::Skip { why })))
        .await?;
    Ok(Said::of(done))
}

/// Lists the runs that go on, and the next slots. For operators each line has a button.
async fn look(app: &Arc<App>, role: Role) -> Result<Said, Answer> {
    let has_buttons = role >= Role::Operator;
    slow(app, move |app| {
        // Returns the lines about a run, each with the action of its button: its state, and its next attack if there is one.
        let describe = |entry: &Entry, course: &Course| {
            let run = &entry.folder;
            let text = format!(
                "{} ({}): {}, {} in force\n{}",
                part(run),
                part(course.scenario()),
                part(&course.stage()),
                course.in_force().count(),
                page(app, run)
            );
            let next = course.next().map(|next| {
                let action = Action::Skip { run: run.clone(), attack: next.number };
                (
                    format!("its next attack is number {}, {}", next.number, part(&next.name)),
                    has_buttons.then_some(action),
                )
            });
            [Some((text, has_buttons.then(|| Action::Halt { run: run.clone() }))), next]
        };
        let going_on = app.runs.going_on()?;
        let mut runs = app.courses.of(&going_on, describe);
        runs.truncate(RUNS);
        let missing = match going_on.len().saturating_sub(runs.len()) {
            0 => String::new(),
            missing => format!(" {missing} of them not shown here: {}/runs.", app.origin),
        };
        let calendar = app.newest.calendar(&*app.outside);
        let next_slots = calendar.slots.iter().filter(|slot| slot.open && slot.held).take(SLOTS);
        let slots = next_slots.map(|slot| {
            let Slot { gameday, slot, local, told, .. } = slot;
            let remark = if told.is_empty() { String::new() } else { format!(": {}", part(told)) };
            let action = Action::Refuse { gameday: gameday.clone(), slot: slot.clone() };
            (
                format!("next: {} of {slot}, {}{remark}", part(gameday), part(local)),
                has_buttons.then_some(action),
            )
        });
        let text = match going_on.len() {
            0 => format!("No run goes on. {WORDS}"),
            1 => format!("A run goes on.{missing} {WORDS}"),
            number => format!("{number} runs go on.{missing} {WORDS}"),
        };
        Ok(Said { text, offers: runs.into_iter().flatten().flatten().chain(slots).collect() })
    })
    .await
}
