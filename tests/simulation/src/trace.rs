//! What happened, line by line, when somebody wants to read it.

use parking_lot::Mutex;

/// The lines of one run.
#[derive(Default)]
pub(crate) struct Trace {
    lines: Option<Mutex<Vec<String>>>,
}

impl Trace {
    /// A trace that keeps its lines, or not.
    pub(crate) fn new(keeps: bool) -> Trace {
        Trace { lines: keeps.then(Mutex::default) }
    }

    /// Adds a line, which is only made when it is kept.
    pub(crate) fn line(&self, line: impl FnOnce() -> String) {
        if let Some(lines) = &self.lines {
            lines.lock().push(line());
        }
    }

    /// All lines.
    pub(crate) fn take(&self) -> Vec<String> {
        self.lines.as_ref().map(|lines| std::mem::take(&mut *lines.lock())).unwrap_or_default()
    }
}
