//! Tables as Docker and Podman print them: columns three spaces apart, no lines.

/// A table on its way to be printed.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

/// The space between columns.
const GAP: usize = 3;

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|&heading| heading.to_owned()).collect()] }
    }

    /// Adds a row. Control characters, which a hostile name could drive the terminal with, are escaped.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(escaped).collect());
    }

    /// The lines.
    pub(crate) fn render(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| self.rows.iter().map(|row| width(row, column)).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                line.push_str(cell);
                let room = widths.get(column).copied().unwrap_or(0);
                line.extend(std::iter::repeat_n(' ', room - width(row, column) + GAP));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn width(row: &[String], column: usize) -> usize {
    row.get(column).map_or(0, |cell| cell.chars().count())
}

fn escaped(cell: String) -> String {
    if cell.contains(char::is_control) {
        cell.chars()
            .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
            .collect()
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_three_spaces_apart_and_lines_end_with_text() {
        let mut table = Table::new(&["ID", "NAME", "PORTS"]);
        table.row(["1".into(), "a…".into(), String::new()]);
        table.row(["123".into(), "longer".into(), "80".into()]);
        assert_eq!(table.render(), "ID    NAME     PORTS\n1     a…\n123   longer   80\n");
    }

    #[test]
    fn nothing_in_a_cell_drives_the_terminal() {
        let mut table = Table::new(&["NAME"]);
        table.row(["a\x1b[2Jb\n".to_owned()]);
        assert_eq!(table.render(), "NAME\na\\u{1b}[2Jb\\n\n");
    }
}
