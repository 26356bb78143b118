//! A Dockerfile's text, cut into instructions: comments, lines that go on, here-documents
//! ([format](https://docs.docker.com/reference/dockerfile/#format)).

use super::words;
use crate::error::{Error, Result};

/// One instruction as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The line of the file that it begins on, from 1.
    pub(crate) number: usize,
    /// All of it in one line.
    pub(crate) text: String,
    /// Its here-documents, in the order in which they were asked for.
    pub(crate) documents: Vec<Document>,
}

/// A here-document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    /// The word that ends it.
    pub(crate) name: String,
    /// Whether variables in it are replaced: not if the word was quoted.
    pub(crate) expands: bool,
    /// Whether tabs before its lines are left out.
    pub(crate) strips_tabs: bool,
    /// What is in it.
    pub(crate) content: String,
}

/// The lines of a file, and what escapes a character there.
#[derive(Debug)]
pub(crate) struct Lines {
    pub(crate) lines: Vec<Line>,
    pub(crate) escape: char,
}

/// Cuts a file up.
pub(crate) fn lines(text: &str) -> Result<Lines> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let escape = escape_directive(text)?;
    let mut rest = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .enumerate()
        .map(|(index, line)| (index + 1, line));
    let mut lines = Vec::new();
    while let Some((number, first)) = rest.next() {
        let first = first.trim_start();
        if first.is_empty() || first.starts_with('#') {
            continue;
        }
        let (mut text, mut goes_on) = continued(first, escape);
        while goes_on {
            let Some((_, next)) = rest.next() else { break };
            // Comments and empty lines between do not end an instruction.
            if next.trim_start().starts_with('#') || next.trim().is_empty() {
                continue;
            }
            let more;
            (more, goes_on) = continued(next, escape);
            text.push_str(&more);
        }
        let text = text.trim_end().to_owned();
        let mut documents = announced(&text, escape);
        for document in &mut documents {
            read(document, &mut rest, number)?;
        }
        lines.push(Line { number, text, documents });
    }
    Ok(Lines { lines, escape })
}

/// A line without the mark that it goes on, and whether it does.
fn continued(line: &str, escape: char) -> (String, bool) {
    let cut = line.trim_end_matches([' ', '\t']);
    match cut.strip_suffix(escape) {
        // An escaped escape is one character of the line.
        Some(before) if !before.ends_with(escape) => (before.to_owned(), true),
        _ => (line.to_owned(), false),
    }
}

/// What `# escape=` says before all else.
fn escape_directive(text: &str) -> Result<char> {
    for (index, line) in text.lines().enumerate() {
        let Some((name, value)) = line.strip_prefix('#').and_then(|rest| rest.split_once('='))
        else {
            break;
        };
        match name.trim().to_ascii_lowercase().as_str() {
            "escape" => {
                return match value.trim() {
                    "\\" => Ok('\\'),
                    "`" => Ok('`'),
                    other => Err(Error::syntax(
                        index + 1,
                        format!("escape={other}: it can be a backslash or a backquote"),
                    )),
                };
            }
            "syntax" | "check" => {}
            _ => break,
        }
    }
    Ok('\\')
}

/// The here-documents that an instruction asks for.
fn announced(text: &str, escape: char) -> Vec<Document> {
    let mut words = text.split_whitespace().map(str::to_ascii_uppercase);
    let mut instruction = words.next();
    if instruction.as_deref() == Some("ONBUILD") {
        instruction = words.next();
    }
    if !matches!(instruction.as_deref(), Some("RUN" | "COPY" | "ADD")) {
        return Vec::new();
    }
    let words = words::split(text, escape);
    words.iter().filter_map(|word| document(word)).collect()
}

/// `<<NAME`, `<<-NAME`, `<<"NAME"`, perhaps with a descriptor's number before it.
fn document(word: &str) -> Option<Document> {
    let word = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let name = word.strip_prefix("<<")?;
    let (name, strips_tabs) = match name.strip_prefix('-') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let bare: String = name.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
    let usual = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    if bare.is_empty() || !bare.chars().all(usual) {
        return None;
    }
    let expands = bare == name;
    Some(Document { name: bare, expands, strips_tabs, content: String::new() })
}

fn read<'a>(
    document: &mut Document,
    rest: &mut impl Iterator<Item = (usize, &'a str)>,
    number: usize,
) -> Result<()> {
    for (_, line) in rest {
        let line = if document.strips_tabs { line.trim_start_matches('\t') } else { line };
        if line == document.name {
            return Ok(());
        }
        document.content.push_str(line);
        document.content.push('\n');
    }
    let name = &document.name;
    Err(Error::syntax(number, format!("<<{name}: no line '{name}' ends the here-document")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(usize, String)> {
        lines(text).unwrap().lines.into_iter().map(|line| (line.number, line.text)).collect()
    }

    #[test]
    fn instructions_go_on_over_comments_and_empty_lines() {
        let text = "# a comment\n\nFROM x\r\nRUN a \\\n  # why\n\n  && b \\  \n  && c\n  CMD d\n";
        let expected = [(3, "FROM x"), (4, "RUN a   && b   && c"), (9, "CMD d")];
        assert_eq!(texts(text), expected.map(|(number, text)| (number, text.to_owned())));
        assert_eq!(texts("RUN a \\\\\nRUN b")[0].1, "RUN a \\\\");
        assert_eq!(texts("RUN a \\")[0].1, "RUN a");
    }

    #[test]
    fn the_escape_can_be_chosen_before_all_else() {
        let text = "# syntax=docker/dockerfile:1\n# escape=`\nRUN a `\n b\nRUN c:\\\nRUN d";
        let texts = texts(text);
        assert_eq!(texts[0].1, "RUN a  b");
        assert_eq!(texts[1].1, "RUN c:\\");
        assert!(lines("# escape=x\nFROM a").unwrap_err().to_string().contains("line 1"));
        assert_eq!(lines("# hello\n# escape=`\nRUN a \\\n b").unwrap().escape, '\\');
    }

    #[test]
    fn here_documents_are_read_to_their_end() {
        let text =
            "COPY <<A <<-'B' /to/\none\n# no comment\nA\n\ttwo\n\tB\nRUN cat <<C\nx\nC\nUSER a";
        let lines = lines(text).unwrap().lines;
        assert_eq!(lines.len(), 3);
        let [a, b] = &lines[0].documents[..] else { panic!("two documents") };
        assert_eq!((a.content.as_str(), a.expands), ("one\n# no comment\n", true));
        assert_eq!((b.content.as_str(), b.expands), ("two\n", false));
        assert_eq!(lines[1].documents[0].content, "x\n");
        assert_eq!((lines[2].number, lines[2].text.as_str()), (10, "USER a"));
    }

    #[test]
    fn what_is_no_here_document_is_none() {
        for text in ["RUN echo $((1<<2)) \"<<A\"", "ENV A=<<B", "RUN cat <<<word", "RUN a << B"] {
            assert!(lines(text).unwrap().lines[0].documents.is_empty(), "{text}");
        }
        assert!(lines("RUN <<A\nx").unwrap_err().to_string().contains("<<A"));
    }
}
