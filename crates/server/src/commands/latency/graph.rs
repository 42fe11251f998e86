//! LATENCY GRAPH: samples as bars of text, laid out as Redis does.

use crate::latency::Event;

/// How wide a graph is.
const COLUMNS: usize = 80;

/// How high.
const ROWS: u64 = 4;

/// A row of a bar by how far it reaches up in it.
const STEPS: [u8; 3] = *b"_o#";

/// A row that a bar passes.
const FULL: u8 = b'|';

/// Draws an event at `now_secs`.
pub(super) fn draw(event: &Event, now_secs: u64) -> String {
    let low = event.samples.iter().map(|sample| sample.ms).min().unwrap_or(0);
    let high = event.samples.iter().map(|sample| sample.ms).max().unwrap_or(0);
    let mut out = format!(
        "{} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        event.name,
        event.longest_ms,
        "-".repeat(COLUMNS)
    );
    let steps = STEPS.len() as u64 * ROWS;
    let bars: Vec<_> = event
        .samples
        .iter()
        .map(|sample| {
            let step = (sample.ms - low) * steps / (high - low).max(1);
            (step.min(steps - 1), age(now_secs.saturating_sub(sample.at_secs)))
        })
        .collect();
    for (part, bars) in bars.chunks(COLUMNS).enumerate() {
        if part > 0 {
            out.push('\n');
        }
        draw_part(bars, &mut out);
    }
    out
}

/// Draws bars above their labels, which are written downwards.
fn draw_part(bars: &[(u64, String)], out: &mut String) {
    for row in (0..ROWS).rev() {
        let bottom = row * STEPS.len() as u64;
        out.extend(bars.iter().map(|(step, _)| {
            char::from(match step.checked_sub(bottom) {
                None => b' ',
                Some(above) => STEPS.get(above as usize).copied().unwrap_or(FULL),
            })
        }));
        out.push('\n');
    }
    out.push_str(&" ".repeat(bars.len()));
    out.push('\n');
    let longest = bars.iter().map(|(_, label)| label.len()).max().unwrap_or(0);
    for at in 0..longest {
        out.extend(bars.iter().map(|(_, label)| label.as_bytes().get(at).map_or(' ', |&byte| byte.into())));
        out.push('\n');
    }
}

/// How long ago something was, in the largest unit.
fn age(secs: u64) -> String {
    match secs {
        0..60 => format!("{secs}s"),
        60..3_600 => format!("{}m", secs / 60),
        3_600..86_400 => format!("{}h", secs / 3_600),
        _ => format!("{}d", secs / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::latency::Sample;

    #[test]
    fn it_looks_as_redis_draws_it() {
        let samples = [(85, 20), (86, 30), (87, 11), (88, 50), (89, 20)];
        let samples = samples.map(|(at_secs, ms)| Sample { at_secs, ms }).to_vec();
        let event = Event { name: "command", samples, longest_ms: 50 };
        let rows = ["   # ", "   | ", " # | ", "#|_|#", "     ", "54321", "sssss"];
        let want = format!(
            "command - high 50 ms, low 11 ms (all time high 50 ms)\n{}\n{}\n",
            "-".repeat(80),
            rows.join("\n")
        );
        assert_eq!(draw(&event, 90), want);
    }

    #[test]
    fn equal_samples_are_no_division_by_zero() {
        let event = Event { name: "fsync", samples: vec![Sample { at_secs: 0, ms: 7 }; 81], longest_ms: 7 };
        let text = draw(&event, 90_000);
        assert!(text.contains("high 7 ms, low 7 ms") && text.contains("\n_\n \n1\nd\n"), "{text}");
    }
}
