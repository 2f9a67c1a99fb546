//! Columns that line up, whatever is in them.

/// Rows as lines: every column as wide as its widest cell, two spaces between, nothing after the last word of a line.
pub(crate) fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_characters_and_lines_end_with_their_last_word() {
        let rows = [["└─ a", "CONNECTED", ""], ["key", "no", "id"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(aligned(&rows), ["└─ a  CONNECTED", "key   no         id"]);
    }
}
