//! Redis's globs: `*`, `?`, `[a-z]`, `[^x]` and `\` for the next byte as it is.

/// Whether the whole of `text` matches `glob`.
///
/// Only the last `*` is ever tried again, so the cost is at most the product of the two lengths, where Redis's
/// recursion was exponential until CVE-2022-36021.
pub fn matches(glob: &[u8], text: &[u8]) -> bool {
    let (mut glob_at, mut text_at) = (0, 0);
    // Where to go on when what follows the last star does not match: with the star taking one byte more.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if glob.get(glob_at) == Some(&b'*') {
            glob_at += 1;
            star = Some((glob_at, text_at));
            continue;
        }
        let next = match (text.get(text_at), glob_at < glob.len()) {
            (None, false) => return true,
            (Some(&byte), true) => matches_one(&glob[glob_at..], byte),
            _ => None,
        };
        if let Some(len) = next {
            glob_at += len;
            text_at += 1;
        } else if let Some((after_star, from)) = star
            && from < text.len()
        {
            star = Some((after_star, from + 1));
            (glob_at, text_at) = (after_star, from + 1);
        } else {
            return false;
        }
    }
}

/// How many bytes of the glob match this byte of the text, if they do.
fn matches_one(glob: &[u8], byte: u8) -> Option<usize> {
    match glob {
        [b'?', ..] => Some(1),
        [b'[', class @ ..] => {
            let (matched, len) = matches_class(class, byte);
            matched.then_some(1 + len)
        }
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// Whether the byte is in the class behind a `[`, and how long the class is, its `]` included. As in Redis a class
/// without an end takes the rest of the glob, and a range may stand the wrong way round.
fn matches_class(class: &[u8], byte: u8) -> (bool, usize) {
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut matched = false;
    loop {
        match &class[at..] {
            [] => break,
            [b']', ..] => {
                at += 1;
                break;
            }
            [b'\\', escaped, ..] => {
                matched |= *escaped == byte;
                at += 2;
            }
            [from, b'-', to, ..] => {
                matched |= (*from.min(to)..=*from.max(to)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                matched |= *literal == byte;
                at += 1;
            }
        }
    }
    (matched != negated, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each was tried with KEYS of redis-server 7.0.15.
    #[test]
    fn globs_match_as_in_redis() {
        for (glob, text, want) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a*b", true),
            ("**", "a", true),
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("*b*d", "abcbcd", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("?", "", false),
            ("[abc]", "b", true),
            ("[abc]", "d", false),
            ("[a-c]x", "bx", true),
            ("[c-a]x", "bx", true),
            ("[^a]", "b", true),
            ("[^a]", "a", false),
            ("[a-]", "-", false),
            ("[\\]]", "]", true),
            ("[\\-a]", "-", true),
            ("[a", "a", true),
            ("[a", "b", false),
            ("[]", "a", false),
            ("[^]", "a", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("\\", "\\", true),
            ("a\\", "a\\", true),
            ("h[ae]llo*", "hello world", true),
            ("*[0-9]", "job7", true),
            ("*[0-9]", "job", false),
        ] {
            assert_eq!(matches(glob.as_bytes(), text.as_bytes()), want, "{glob:?} {text:?}");
        }
    }

    #[test]
    fn many_stars_cost_little() {
        let glob = b"*a".repeat(1_000);
        let text = vec![b'a'; 10_000];
        assert!(matches(&glob, &text));
        // Every star tried at every place would take longer than the universe has.
        assert!(!matches(&[&glob[..], b"b"].concat(), &text));
    }
}
