//! A command's words as a tree, from which both its line of help and its COMMAND DOCS are written.

use crate::table::{Argument, CommandSpec, Opt, OptionSpec, Times, ValueKind, WordKind};

/// One word of a command, or several that belong together.
pub(super) struct Node {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The keyword before it.
    pub(super) token: Option<&'static str>,
    pub(super) optional: bool,
    pub(super) multiple: bool,
}

/// What a node is.
pub(super) enum Kind {
    Word(WordKind),
    /// Its keyword alone.
    Token,
    /// One of these.
    OneOf(Vec<Node>),
    /// All of these, in order.
    Block(Vec<Node>),
}

/// How a command is written, such as `QLEN queue [ALL | READY] [GROUP group]`.
pub fn usage(name: &str, spec: &CommandSpec) -> String {
    let mut line = name.to_uppercase();
    for node in nodes(spec) {
        line.push(' ');
        write(&node, &mut line);
    }
    line
}

/// How one option is written, such as `GROUP group`.
pub(super) fn option_usage(option: &OptionSpec) -> String {
    let mut text = String::new();
    write(&Node { multiple: false, ..option_node(option) }, &mut text);
    text
}

/// The words of a command.
pub(super) fn nodes(spec: &CommandSpec) -> Vec<Node> {
    let mut nodes = Vec::new();
    for argument in spec.arguments {
        match argument {
            Argument::Word { name, kind, times } => nodes.push(word_node(name, *kind, *times)),
            Argument::Options => nodes.extend(options(spec, None)),
            Argument::WordOrOptions { name, kind, times } => {
                let mut alternatives = vec![word_node(name, *kind, *times)];
                // In the word's place an option must stand.
                alternatives
                    .extend(options(spec, None).into_iter().map(|node| Node { optional: false, ..node }));
                let kind = Kind::OneOf(alternatives);
                nodes.push(Node { name, kind, token: None, optional: false, multiple: false });
            }
        }
    }
    nodes
}

fn word_node(name: &'static str, kind: WordKind, times: Times) -> Node {
    let optional = matches!(times, Times::Optional | Times::Any);
    let multiple = matches!(times, Times::Many | Times::Any);
    // A pair such as `setting value` repeats together.
    let kind = match name.split_once(' ') {
        Some((first, second)) => Kind::Block(vec![word(first, kind), word(second, kind)]),
        None => Kind::Word(kind),
    };
    Node { name, kind, token: None, optional, multiple }
}

/// The options that need `needed`, in the table's order. Those that contradict each other are alternatives, and one
/// that others need has them inside.
fn options(spec: &CommandSpec, needed: Option<Opt>) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut shown = Vec::new();
    for option in spec.options.iter().filter(|option| option.needs == needed) {
        if shown.contains(&option.opt) {
            continue;
        }
        let is_alternative = |other: &&OptionSpec| other.opt == option.opt || option.excludes.has(other.opt);
        let together: Vec<&OptionSpec> = spec.options.iter().filter(is_alternative).collect();
        shown.extend(together.iter().map(|option| option.opt));
        let mut alternatives: Vec<Node> =
            together.iter().map(|option| with_dependants(spec, option)).collect();
        // QMCLAIM's source is the one choice that must be made; it stands first, and NEXT starts another job.
        let optional = !together.iter().any(|option| option.opt == Opt::Queues);
        let node = match alternatives.len() {
            1 => Node { optional, ..alternatives.remove(0) },
            _ => {
                let name = alternatives[0].name;
                Node { name, kind: Kind::OneOf(alternatives), token: None, optional, multiple: false }
            }
        };
        let place = if optional { nodes.len() } else { 0 };
        nodes.insert(place, node);
    }
    nodes.sort_by_key(|node| node.multiple);
    nodes
}

/// One option with those that need it behind it.
fn with_dependants(spec: &CommandSpec, option: &OptionSpec) -> Node {
    let node = option_node(option);
    let dependants = options(spec, Some(option.opt));
    if dependants.is_empty() {
        return node;
    }
    let mut block = match node.kind {
        Kind::Block(inner) => inner,
        Kind::Token => Vec::new(),
        kind => vec![Node { name: node.name, kind, token: None, optional: false, multiple: false }],
    };
    block.extend(dependants);
    Node { kind: Kind::Block(block), ..node }
}

/// One option, as a word that must stand.
fn option_node(option: &OptionSpec) -> Node {
    let kind = match option.value {
        ValueKind::None => Kind::Token,
        ValueKind::Number(_) => Kind::Word(WordKind::Integer),
        ValueKind::Glob => Kind::Word(WordKind::Pattern),
        ValueKind::Name | ValueKind::Group | ValueKind::Text | ValueKind::Payload => {
            Kind::Word(WordKind::String)
        }
        ValueKind::Choice(words) => Kind::OneOf(words.iter().map(|word| token(word)).collect()),
        ValueKind::Root => {
            Kind::Block(vec![word("signature", WordKind::String), word("timestamp", WordKind::Integer)])
        }
        ValueKind::Receipts => Kind::Block(vec![
            word("numreceipts", WordKind::Integer),
            words("receipt", WordKind::String, true),
        ]),
        ValueKind::Queues => {
            Kind::Block(vec![word("numqueues", WordKind::Integer), words("queue", WordKind::Key, false)])
        }
        ValueKind::Globs => {
            Kind::Block(vec![word("numglobs", WordKind::Integer), words("glob", WordKind::Pattern, false)])
        }
        ValueKind::Login => {
            Kind::Block(vec![word("username", WordKind::String), word("password", WordKind::String)])
        }
    };
    let multiple = option.opt == Opt::Next;
    Node { name: value_name(option), kind, token: Some(option.word), optional: false, multiple }
}

/// What the word after an option is called.
fn value_name(option: &OptionSpec) -> &'static str {
    use crate::table::Number;
    match (option.value, option.opt) {
        (ValueKind::Number(Number::Milliseconds(_)), _) => "ms",
        (ValueKind::Number(Number::Instant), _) => "unix-ms",
        (ValueKind::Number(_), Opt::Priority) => "priority",
        (ValueKind::Number(_), _) => "n",
        (ValueKind::Payload, _) => "payload",
        (ValueKind::Glob, _) => "glob",
        (ValueKind::Group, _) => "group",
        (ValueKind::Text, Opt::Error) => "message",
        (ValueKind::Text, Opt::Type) => "type",
        (ValueKind::Name, Opt::Dedupe | Opt::Key) => "key",
        (ValueKind::Name | ValueKind::Text, _) => "name",
        (ValueKind::Receipts, _) => "receipts",
        (ValueKind::Queues, _) => "queues",
        (ValueKind::Globs, _) => "globs",
        (ValueKind::Login, _) => "login",
        (ValueKind::Root, _) => "root",
        (ValueKind::Choice(_), _) => "choice",
        (ValueKind::None, _) => option.word,
    }
}

fn word(name: &'static str, kind: WordKind) -> Node {
    Node { name, kind: Kind::Word(kind), token: None, optional: false, multiple: false }
}

fn words(name: &'static str, kind: WordKind, optional: bool) -> Node {
    Node { optional, multiple: true, ..word(name, kind) }
}

fn token(word: &'static str) -> Node {
    Node { name: word, kind: Kind::Token, token: Some(word), optional: false, multiple: false }
}

fn write(node: &Node, line: &mut String) {
    let mut text = String::new();
    match &node.kind {
        Kind::Token => text.push_str(node.name),
        kind => {
            if let Some(token) = node.token {
                text.push_str(token);
                text.push(' ');
            }
            match kind {
                Kind::OneOf(nodes) if node.token.is_some() => join(nodes, "|", &mut text),
                Kind::OneOf(nodes) if node.optional => join(nodes, " | ", &mut text),
                Kind::OneOf(nodes) => {
                    text.push('<');
                    join(nodes, " | ", &mut text);
                    text.push('>');
                }
                Kind::Block(nodes) => join(nodes, " ", &mut text),
                _ => text.push_str(node.name),
            }
        }
    }
    match (node.optional, node.multiple) {
        (false, false) => line.push_str(&text),
        (true, false) => line.push_str(&format!("[{text}]")),
        (false, true) => line.push_str(&format!("{text} [{text} ...]")),
        // Behind QMPUSH's NEXT the options start anew.
        (true, true) if node.token.is_some() => line.push_str(&format!("[{text} [option ...]]...")),
        (true, true) => line.push_str(&format!("[{text} ...]")),
    }
}

fn join(nodes: &[Node], between: &str, text: &mut String) {
    for (i, node) in nodes.iter().enumerate() {
        if i > 0 {
            text.push_str(between);
        }
        write(node, text);
    }
}
