//! The programs in a Markdown text, each with what it prints: the block of `text` that follows it.

/// A fenced block with a program.
pub struct GuideProgram {
    /// The language that stands beside the fence.
    pub language: String,
    /// The program.
    pub code: String,
    /// What it prints.
    pub prints: String,
}

/// All programs in their order. Blocks of `console` are for people.
pub fn guide_programs(markdown: &str) -> Vec<GuideProgram> {
    let mut programs: Vec<GuideProgram> = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let content: String =
            lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
        match language {
            "console" => {}
            "text" => programs.last_mut().expect("a block of text follows a program").prints = content,
            _ => programs.push(GuideProgram {
                language: language.to_owned(),
                code: content,
                prints: String::new(),
            }),
        }
    }
    programs
}
