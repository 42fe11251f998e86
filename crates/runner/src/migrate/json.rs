//! JSON with comments, as jobrunner read it: `//` to the end of the line, but not within a string.

/// The same text with blanks for comments, so that an error still names the right line and column.
pub(super) fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let (mut in_string, mut in_comment, mut is_escaped) = (false, false, false);
    while let Some(character) = characters.next() {
        if character == '\n' {
            in_comment = false;
        } else if !in_string && !in_comment && character == '/' && characters.peek() == Some(&'/') {
            in_comment = true;
        }
        if in_comment {
            plain.push(' ');
            continue;
        }
        plain.push(character);
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if in_string => is_escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_strings_stay() {
        let cases = [
            ("{} // all\n// more\n[]", "{}       \n       \n[]"),
            (r#"{"url": "http://host/" } // x"#, r#"{"url": "http://host/" }     "#),
            (r#"["a \" // b"]"#, r#"["a \" // b"]"#),
            (r#"["a\\"] // b"#, r#"["a\\"]     "#),
            ("1 / 2", "1 / 2"),
        ];
        for (text, expected) in cases {
            assert_eq!(without_comments(text), expected);
        }
    }
}
