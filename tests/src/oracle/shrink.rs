//! The shortest conversation that still ends in a disagreement.

use std::time::Duration;

use super::DIFFERENCES;
use super::conversation::Conversation;
use super::pair::Pair;

/// Leaves out whatever the disagreement does not need.
pub(super) fn shrink(
    pair: &mut Pair,
    mut conversation: Conversation,
    mut disagreement: String,
    patience: Duration,
) -> (Conversation, String) {
    let mut attempt = |shorter: &Conversation, disagreement: &mut String| match pair.hold(
        shorter,
        patience,
        &mut vec![0; DIFFERENCES.len()],
    ) {
        Ok(()) => false,
        Err(found) => {
            *disagreement = found;
            true
        }
    };
    let mut turn = conversation.turns.len();
    while turn > 0 {
        turn -= 1;
        let mut shorter = conversation.clone();
        shorter.turns.remove(turn);
        if attempt(&shorter, &mut disagreement) {
            conversation = shorter;
            continue;
        }
        let mut at = conversation.turns[turn].utterances.len();
        while at > 0 && conversation.turns[turn].utterances.len() > 1 {
            at -= 1;
            let mut shorter = conversation.clone();
            shorter.turns[turn].utterances.remove(at);
            if attempt(&shorter, &mut disagreement) {
                conversation = shorter;
            }
        }
    }
    (conversation, disagreement)
}
