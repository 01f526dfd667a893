//! What is said on stderr meanwhile: a bar on a terminal, a line elsewhere.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use crate::figures::Figures;
use crate::load::Window;
use crate::run::Run;
use crate::time::Clock;

const REDRAW_EVERY: Duration = Duration::from_millis(250);
const WIDTH: usize = 30;
/// Back to the start of the line, which is cleared.
const ANEW: &str = "\r\x1b[K";

/// Shown until it is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    drawing: Option<AbortHandle>,
}

impl Progress {
    pub(crate) fn show(
        run: &Run,
        doing: &str,
        window: Option<Window>,
        figures: &Arc<Figures>,
    ) -> Self {
        let title = format!("{} over {}{doing}", run.workload.name(), run.way);
        if !io::stderr().is_terminal() {
            say(&format!("{title} ...\n"));
            return Self { drawing: None };
        }
        let (clock, figures) = (run.clock.clone(), Arc::clone(figures));
        let begun = clock.now();
        let drawing = tokio::spawn(async move {
            loop {
                let now = clock.now();
                let bar = window.map_or_else(String::new, |window| bar(begun, now, window));
                say(&format!("{ANEW}{title}  {bar}{} operations", figures.counted()));
                tokio::time::sleep(REDRAW_EVERY).await;
            }
        });
        Self { drawing: Some(drawing.abort_handle()) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(drawing) = &self.drawing {
            drawing.abort();
            say(ANEW);
        }
    }
}

/// `[=====>    ] 3/12 s warming up  `
fn bar(begun: Duration, now: Duration, window: Window) -> String {
    let whole = window.until.saturating_sub(begun).as_secs_f64().max(f64::MIN_POSITIVE);
    let passed = now.saturating_sub(begun).as_secs_f64().min(whole);
    let full = (passed / whole * WIDTH as f64) as usize;
    let stage = match now {
        now if now < window.from => "warming up  ",
        now if now >= window.until => "last answers  ",
        _ => "",
    };
    format!("[{}{}] {passed:.0}/{whole:.0} s  {stage}", "=".repeat(full), " ".repeat(WIDTH - full))
}

/// A stderr that is closed has nobody to tell.
fn say(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_fills_up_and_stays_full() {
        let second = Duration::from_secs;
        let window = Window { from: second(2), until: second(10) };
        let at = |now| bar(Duration::ZERO, second(now), window);
        assert!(at(0).starts_with("[  ") && at(0).contains("warming up"), "{}", at(0));
        assert!(at(5).starts_with("[=============== ") && at(5).contains("5/10 s"), "{}", at(5));
        assert!(at(60).contains(&"=".repeat(WIDTH)) && at(60).contains("last"), "{}", at(60));
    }
}
