//! A conversation: who says what in which order, all from one seed.

use std::collections::BTreeSet;
use std::fmt;

use super::utterance::{Form, Utterance, Word};
use super::vocabulary::{THEMES, Theme};
use crate::Random;

/// Everything that is said to a server by some clients, who take turns.
#[derive(Clone)]
pub(super) struct Conversation {
    /// What it was made from.
    pub(super) seed: u64,
    /// Whether it is held with servers that have a password.
    pub(super) password: bool,
    pub(super) clients: usize,
    pub(super) themes: Vec<&'static Theme>,
    pub(super) turns: Vec<Turn>,
}

/// What one client says before another has its turn.
#[derive(Clone)]
pub(super) struct Turn {
    pub(super) client: usize,
    pub(super) utterances: Vec<Utterance>,
    /// Where its bytes are cut into pieces, as parts of 65,536 of the whole.
    pub(super) cuts: Vec<u16>,
}

/// Bytes that no client should send.
const RAW: &[&[u8]] = &[
    b"*1\r\n:4\r\n",
    b"*1\r\n*1\r\n$4\r\nPING\r\n",
    b"*-2\r\n",
    b"*x\r\n",
    b"*2147483648\r\n",
    b"*99999999999999999999\r\n",
    b"*1\r\n$-1\r\n",
    b"*1\r\n$536870913\r\n",
    b"*1\r\n$x\r\nPING\r\n",
    b"*3\r\n$4\r\nPI",
    b"*2\r\n$4\r\nECHO\r\n",
    b"PING \"open\r\n",
    b"PING 'a'b\r\n",
    b"PING",
    b"\r\n\r\nPING\r\n",
    b"*0\r\n*-1\r\nPING\n",
    b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"$4\r\nPING\r\n",
    b"+OK\r\n",
    b"ECHO \"\\x00\\xff\\r\\n\\q\"\r\n",
];

impl Conversation {
    /// The conversation of a seed.
    pub(super) fn new(seed: u64) -> Conversation {
        let mut random = Random::new(seed);
        let password = random.one_in(5);
        let clients = 1 + random.below(3);
        let themes = themes(&mut random);
        let mut turns: Vec<Turn> =
            (0..2 + random.below(10)).map(|_| turn(random.below(clients), &themes, &mut random)).collect();
        if password && !random.one_in(4) {
            let login = Utterance::from_template("!AUTH default <password>", &mut random);
            turns.insert(0, Turn { client: 0, utterances: vec![login], cuts: Vec::new() });
        }
        // A broken request in silence is answered by one and not by the other, and nobody hears the connection end.
        if random.one_in(6) && themes.iter().all(|theme| theme.name != "silence") {
            let bytes = RAW[random.below(RAW.len())].to_vec();
            turns.push(Turn {
                client: random.below(clients),
                utterances: vec![Utterance::raw(bytes)],
                cuts: Vec::new(),
            });
        }
        Conversation { seed, password, clients, themes, turns }
    }
}

impl Conversation {
    /// Adds the commands that are said, as COMMAND LIST names them.
    pub(super) fn name_commands(&self, names: &mut BTreeSet<String>) {
        for utterance in self.turns.iter().flat_map(|turn| &turn.utterances) {
            let word = |at: usize| match utterance.words.get(at) {
                Some(Word::Bytes(bytes)) => String::from_utf8_lossy(bytes).to_lowercase(),
                _ => String::new(),
            };
            names.insert(format!("{}|{}", word(0), word(1)));
            names.insert(word(0));
        }
    }
}

/// One theme or two that go together.
fn themes(random: &mut Random) -> Vec<&'static Theme> {
    let first = &THEMES[random.below(THEMES.len())];
    let second = &THEMES[random.below(THEMES.len())];
    let together = !first.apart_from.contains(&second.name) && !second.apart_from.contains(&first.name);
    if together && random.one_in(2) { vec![first, second] } else { vec![first] }
}

fn turn(client: usize, themes: &[&'static Theme], random: &mut Random) -> Turn {
    let count = if random.one_in(2) { 1 } else { 2 + random.below(6) };
    let utterances = (0..count)
        .map(|_| {
            let theme = themes[random.below(themes.len())];
            Utterance::from_template(theme.templates[random.below(theme.templates.len())], random)
        })
        .collect();
    let cuts = if random.one_in(2) { 0 } else { random.below(6) };
    let mut cuts: Vec<u16> = (0..cuts).map(|_| (random.bits() & 0xffff) as u16).collect();
    cuts.sort_unstable();
    Turn { client, utterances, cuts }
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let password = if self.password { "a" } else { "no" };
        let themes: Vec<&str> = self.themes.iter().map(|theme| theme.name).collect();
        writeln!(f, "seed {} about {}, servers with {password} password", self.seed, themes.join(" and "))?;
        for turn in &self.turns {
            for (i, utterance) in turn.utterances.iter().enumerate() {
                let who = if i == 0 { turn.client.to_string() } else { " ".to_owned() };
                writeln!(f, "  {who}: {utterance}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Utterance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            Form::Array => {}
            Form::Inline => f.write_str("inline ")?,
            Form::Raw => f.write_str("raw ")?,
        }
        for (i, word) in self.words.iter().enumerate() {
            f.write_str(if i > 0 { " " } else { "" })?;
            match word {
                Word::Bytes(bytes) => write!(f, "\"{}\"", bytes.escape_ascii())?,
                Word::ClientId(client) => write!(f, "(id of {client})")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_conversation_again() {
        for seed in 0..100 {
            assert_eq!(Conversation::new(seed).to_string(), Conversation::new(seed).to_string());
        }
        assert_ne!(Conversation::new(1).to_string(), Conversation::new(2).to_string());
    }
}
