//! Tables of text.

use std::fmt::Write;

/// Appends rows under the names of their columns; nothing where there are none.
pub(crate) fn table(page: &mut String, title: &str, columns: &[&str], rows: &[Vec<String>]) {
    if rows.is_empty() {
        return;
    }
    let names: Vec<String> = columns.iter().map(ToString::to_string).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&names]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    writeln!(page, "\n{title}").expect("a string accepts every write");
    for row in std::iter::once(&names).chain(rows) {
        let mut line = String::from(" ");
        for (value, width) in row.iter().zip(&widths) {
            write!(line, " {value:<width$}").expect("a string accepts every write");
        }
        page.push_str(line.trim_end());
        page.push('\n');
    }
}
