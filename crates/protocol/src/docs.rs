//! What COMMAND and HELP answer, and docs/PROTOCOL.md: the table for people and for client libraries.
