//! A figure that must be reached, and the verdict.

use std::fmt;

use serde_json::{Value, json};

/// A figure that must be reached.
#[derive(Clone, PartialEq, Debug)]
pub struct Bar {
    /// What is measured, with its unit.
    pub what: String,
    /// What came out.
    pub measured: f64,
    /// What is asked for.
    pub limit: Limit,
}

/// On which side of a figure the measured one must be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Limit {
    /// On it or above.
    AtLeast(f64),
    /// Below it.
    Below(f64),
}

impl Bar {
    /// A figure that is not a number misses its bar.
    #[must_use]
    pub fn met(&self) -> bool {
        match self.limit {
            Limit::AtLeast(limit) => self.measured >= limit,
            Limit::Below(limit) => self.measured < limit,
        }
    }

    /// For machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let (side, limit) = match self.limit {
            Limit::AtLeast(limit) => ("at-least", limit),
            Limit::Below(limit) => ("below", limit),
        };
        json!({ "what": self.what, "measured": self.measured, side: limit, "met": self.met() })
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.met() { "met   " } else { "MISSED" };
        let (word, limit) = match self.limit {
            Limit::AtLeast(limit) => ("at least", limit),
            Limit::Below(limit) => ("below", limit),
        };
        write!(f, "{verdict}  {}: {:.2}, the bar is {word} {limit}", self.what, self.measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(measured: f64, limit: Limit) -> Bar {
        Bar { what: "speed".to_owned(), measured, limit }
    }

    #[test]
    fn bars_are_met_on_their_side_only() {
        assert!(bar(10.0, Limit::AtLeast(10.0)).met());
        assert!(!bar(9.9, Limit::AtLeast(10.0)).met());
        assert!(bar(0.9, Limit::Below(1.0)).met());
        assert!(!bar(1.0, Limit::Below(1.0)).met());
    }

    #[test]
    fn a_figure_that_is_none_misses() {
        assert!(!bar(f64::NAN, Limit::AtLeast(0.0)).met());
        assert!(!bar(f64::NAN, Limit::Below(1.0)).met());
    }

    #[test]
    fn machines_read_the_side_from_the_name() {
        let wanted = json!({ "what": "speed", "measured": 1.0, "below": 2.0, "met": true });
        assert_eq!(bar(1.0, Limit::Below(2.0)).json(), wanted);
    }
}
