//! When two replies are the same but for a part.

use std::collections::HashSet;

use super::super::frame::Frame;

/// Whether two replies have the same elements in any order.
pub(super) fn in_any_order(theirs: &Frame, ours: &Frame) -> bool {
    let sorted = |frame: &Frame| {
        let mut elements: Vec<String> = frame.elements.iter().map(Frame::to_string).collect();
        elements.sort_unstable();
        elements
    };
    (theirs.kind, &theirs.line) == (ours.kind, &ours.line) && sorted(theirs) == sorted(ours)
}

/// Whether two replies of the same length are the same but for the elements at these places.
pub(super) fn but_for(theirs: &Frame, ours: &Frame, places: &[usize]) -> bool {
    (theirs.kind, &theirs.line) == (ours.kind, &ours.line)
        && theirs.elements.len() == ours.elements.len()
        && theirs
            .elements
            .iter()
            .zip(&ours.elements)
            .enumerate()
            .all(|(place, (theirs, ours))| theirs == ours || places.contains(&place))
}

/// Whether the lines of `field=value` of two clients' connections have these fields with the same values.
pub(super) fn client_lines(theirs: &Frame, ours: &Frame, fields: &[&str]) -> bool {
    // In RESP3 the text begins by saying that it is one.
    let lines = |frame: &Frame| frame.text().trim_start_matches("txt:").to_owned();
    let (theirs, ours) = (lines(theirs), lines(ours));
    let value = |line: &str, field: &str| {
        line.split(' ').find_map(|word| word.strip_prefix(field)?.strip_prefix('=').map(str::to_owned))
    };
    let mut shown = HashSet::new();
    let theirs: Vec<&str> = theirs.lines().filter(|line| shown.insert(value(line, "id"))).collect();
    theirs.len() == ours.lines().count()
        && theirs
            .into_iter()
            .zip(ours.lines())
            .all(|(theirs, ours)| fields.iter().all(|field| value(theirs, field) == value(ours, field)))
}

/// Whether two descriptions of a command by COMMAND INFO say the same in all that clients decide by: name, arity, flags
/// and the places of keys.
pub(super) fn command(theirs: &Frame, ours: &Frame) -> bool {
    let (theirs, ours) = (&theirs.elements, &ours.elements);
    theirs.len() == ours.len()
        && theirs.len() == 10
        && theirs[..2] == ours[..2]
        && flags(&theirs[2]) == flags(&ours[2])
        && theirs[3..6] == ours[3..6]
        && theirs[8] == ours[8]
}

/// The flags of a command but for those that say how it gets on with MULTI, with scripts and with the slow log.
fn flags(reply: &Frame) -> Vec<String> {
    let mut flags: Vec<String> = reply.elements.iter().map(Frame::text).collect();
    flags.retain(|flag| !matches!(flag.as_str(), "no_multi" | "allow_busy" | "skip_slowlog"));
    flags.sort_unstable();
    flags
}

/// Parameters that two servers have in common, but whose values say what only one of them is.
const OWN: &[&str] = &[
    "client-query-buffer-limit",
    "client-output-buffer-limit",
    "appendfsync",
    "appendonly",
    "bind",
    "databases",
    "dir",
    "maxmemory",
    "port",
    "requirepass",
    "unixsocket",
    "unixsocketperm",
];

/// Whether the parameters that both replies of CONFIG GET have are the same.
pub(super) fn parameters(theirs: &Frame, ours: &Frame) -> bool {
    let pairs = |frame: &Frame| {
        let pairs = frame.elements.chunks(2).map(|pair| (pair[0].text().to_lowercase(), pair[1].text()));
        pairs.collect::<Vec<_>>()
    };
    let known = pairs(theirs);
    theirs.kind == ours.kind
        && pairs(ours).iter().all(|(name, value)| {
            OWN.contains(&name.as_str())
                || known.iter().all(|(theirs, expected)| theirs != name || value == expected)
        })
}
