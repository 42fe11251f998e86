//! Whether a process does its work, and the page that says so.

/// What a check has found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What is wrong, a line each; nothing when all is well.
    pub problems: Vec<String>,
    /// What is worth knowing and no problem, such as what could not be looked at.
    pub notes: Vec<String>,
}

impl Health {
    /// Whether nothing is wrong.
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }

    /// The verdict, then what is wrong, then the notes; each is one line, whatever the words in it came from.
    pub(crate) fn page(&self) -> String {
        let verdict = if self.is_well() { "ok" } else { "failing" };
        let notes = self.notes.iter().map(|note| format!("note: {note}"));
        let lines = std::iter::once(verdict.to_owned()).chain(self.problems.iter().cloned()).chain(notes);
        lines.map(|line| line.replace(char::is_control, " ") + "\n").collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_and_each_note_is_a_line() {
        assert_eq!(Health::default().page(), "ok\n");
        let health = Health { problems: vec!["a\nb".into(), "c".into()], notes: vec!["d".into()] };
        assert_eq!(health.page(), "failing\na b\nc\nnote: d\n");
    }
}
