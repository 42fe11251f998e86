//! Tables that people read and paste.

use comfy_table::{CellAlignment, Table, presets};

/// A table that can be pasted into Markdown; its numbers stand right.
#[must_use]
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
