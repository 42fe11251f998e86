//! One thing that a client says: a command, or bytes that are none.

use crate::Random;
use crate::connection::encode;

use super::vocabulary::{self, NEW};

/// One thing that a client says.
#[derive(Clone, Debug)]
pub(super) struct Utterance {
    /// To Redis.
    pub(super) words: Vec<Word>,
    /// To Stanchion, where it is not the same.
    pub(super) ours: Option<Vec<Word>>,
    /// How it is put into bytes.
    pub(super) form: Form,
}

/// A word, perhaps one that only the connections of a server can tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Word {
    Bytes(Vec<u8>),
    /// The number that the server gave the client at this place of the conversation.
    ClientId(usize),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// An array of bulk strings, as libraries send it.
    Array,
    /// A line, as people type it.
    Inline,
    /// The words are the bytes: no request that anybody should send.
    Raw,
}

impl Utterance {
    /// A command from a template, perhaps with something wrong.
    pub(super) fn from_template(template: &str, random: &mut Random) -> Utterance {
        let (template, fixed) = match template.strip_prefix('!') {
            Some(rest) => (rest, true),
            None => (template, false),
        };
        let mut words = expand(template, random);
        if template == NEW {
            return Utterance::new_key(words.remove(1));
        }
        let changeable = if fixed { 1 } else { words.len() };
        change_case(&mut words[..changeable], random);
        if !fixed && random.one_in(6) {
            disturb(&mut words, random);
        }
        let mut utterance = Utterance { words, ours: None, form: Form::Array };
        if random.one_in(8) && utterance.fits_a_line() {
            utterance.form = Form::Inline;
        }
        utterance
    }

    /// The one thing that is said differently to the two, because they keep different things: make a key.
    fn new_key(key: Word) -> Utterance {
        let say =
            |words: [&str; 2]| vec![Word::Bytes(words[0].into()), key.clone(), Word::Bytes(words[1].into())];
        Utterance { words: say(["RPUSH", "x"]), ours: Some(say(["QPUSH", "x"])), form: Form::Array }
    }

    /// Bytes that are no request, after which nothing can follow on their connection.
    pub(super) fn raw(bytes: Vec<u8>) -> Utterance {
        Utterance { words: vec![Word::Bytes(bytes)], ours: None, form: Form::Raw }
    }

    /// These words as libraries send them.
    pub(super) fn plain(words: &str) -> Utterance {
        let words = words.split(' ').map(|word| Word::Bytes(word.into())).collect();
        Utterance { words, ours: None, form: Form::Array }
    }

    /// The words for Redis, with its clients' numbers.
    pub(super) fn words_for_redis(&self, ids: &[i64]) -> Vec<Vec<u8>> {
        resolve(&self.words, ids)
    }

    /// The bytes for Redis.
    pub(super) fn bytes_for_redis(&self, ids: &[i64]) -> Vec<u8> {
        self.bytes(&self.words, ids)
    }

    /// The bytes for Stanchion.
    pub(super) fn bytes_for_us(&self, ids: &[i64]) -> Vec<u8> {
        self.bytes(self.ours.as_ref().unwrap_or(&self.words), ids)
    }

    fn bytes(&self, words: &[Word], ids: &[i64]) -> Vec<u8> {
        let words = resolve(words, ids);
        match self.form {
            Form::Array => {
                let mut bytes = Vec::new();
                encode(&mut bytes, &words);
                bytes
            }
            Form::Inline => [words.join(&b' '), b"\r\n".to_vec()].concat(),
            Form::Raw => words.concat(),
        }
    }

    /// Whether the words can stand in a line as they are. Quotes have tests of their own, and a NUL makes Redis wait
    /// for ever.
    fn fits_a_line(&self) -> bool {
        let plain = |byte: &u8| byte.is_ascii_graphic() && !b"'\"\\".contains(byte);
        self.words.iter().all(|word| match word {
            Word::Bytes(bytes) => !bytes.is_empty() && bytes.iter().all(plain) && bytes[0] != b'*',
            Word::ClientId(_) => true,
        })
    }
}

fn resolve(words: &[Word], ids: &[i64]) -> Vec<Vec<u8>> {
    let word = |word: &Word| match word {
        Word::Bytes(bytes) => bytes.clone(),
        // A conversation may name a client that it does not have.
        Word::ClientId(client) => ids.get(*client).copied().unwrap_or(0).to_string().into_bytes(),
    };
    words.iter().map(word).collect()
}

/// The words of a template.
fn expand(template: &str, random: &mut Random) -> Vec<Word> {
    let mut words = Vec::new();
    let mut left_out = false;
    for token in template.split(' ') {
        match token {
            "[" => left_out = random.one_in(2),
            "]" => left_out = false,
            _ if left_out => {}
            _ => {
                let (token, times) = match token.strip_suffix("...") {
                    Some(token) => (token, 1 + random.below(4)),
                    None => (token, 1),
                };
                for _ in 0..times {
                    let choices: Vec<&str> = token.split('|').collect();
                    let choice = choices[random.below(choices.len())];
                    words.push(match choice.strip_prefix('<').and_then(|kind| kind.strip_suffix('>')) {
                        Some(kind) => vocabulary::word(kind, random),
                        None => Word::Bytes(choice.into()),
                    });
                }
            }
        }
    }
    words
}

/// Commands are not sensitive to case, so now and then it is another.
fn change_case(words: &mut [Word], random: &mut Random) {
    for word in words {
        if let Word::Bytes(bytes) = word
            && random.one_in(8)
        {
            match random.below(3) {
                0 => bytes.make_ascii_lowercase(),
                1 => bytes.make_ascii_uppercase(),
                _ => bytes.iter_mut().step_by(2).for_each(u8::make_ascii_lowercase),
            }
        }
    }
}

/// Makes one thing wrong, the command's name perhaps.
fn disturb(words: &mut Vec<Word>, random: &mut Random) {
    let at = random.below(words.len());
    match random.below(5) {
        // The name stays where it is: what follows it may be a command of Redis's. Nor does a number become a name that
        // an error quotes.
        0 if at > 0 && words.get(at + 1).is_none_or(|next| matches!(next, Word::Bytes(_))) => {
            drop(words.remove(at));
        }
        1 => words.insert(at + 1, vocabulary::word("word", random)),
        2 => words[at] = vocabulary::word("word", random),
        3 => words.insert(at, words[at].clone()),
        _ => {
            for _ in 0..random.below(20) {
                words.push(vocabulary::word("word", random));
            }
        }
    }
}
