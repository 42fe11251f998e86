//! Hostile ACL files, and rules with them: the entry of a fuzz target.

use super::file;

/// Reads bytes as an ACL file, and panics when a user's own line does not make it again, or when a refusal could break
/// out of its line.
pub fn fuzz_users(data: &[u8]) {
    const PATH: &str = "users.acl";
    match file::parse(PATH, data) {
        Ok(users) => {
            for line in users.iter().map(super::User::line) {
                let again = file::parse(PATH, &line).expect("a user's line is right");
                assert_eq!(again.len(), 1, "a user's line is one");
                assert_eq!(again[0].line(), line, "a user's line makes it again");
            }
        }
        Err(refusal) => {
            let text = refusal.to_string();
            assert!(!text.contains(char::is_control), "a refusal of two lines: {}", text.escape_debug());
        }
    }
}
