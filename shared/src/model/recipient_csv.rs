//! Recipients as rows of a CSV file (RFC 4180): what its heading says, and what each row makes of it.
//!
//! Columns `name`, `email` and `stakeholder_class` or `stakeholderClass`; any other column is an identifier of that name. Read are files
//! as spreadsheets write them: with a byte order mark or not, with either line end, with quotes.
//!
//! What belongs here: from bytes to what *create a recipient* takes. What does not: what a recipient may be ([`super::recipient`]).

use csv::{ByteRecord, ReaderBuilder, Terminator};

use super::identifiers::is_key;
use crate::values::field_error::shown;
use crate::values::json::Json;

/// Identifiers whose column may be written in another case, as spreadsheets like to.
const KNOWN_KEYS: [&str; 7] =
    ["lender_id", "policy_number", "agency_code", "phone", "date_of_birth", "badge_id", "nda_hash"];

const IDENTIFIERS: &str = "identifiers.";

/// A row behind the heading.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its number as a spreadsheet shows it: that of the heading is 1.
    pub number: usize,
    /// Its cells, as they are in the file.
    pub cells: Vec<String>,
    /// The recipient, as *create a recipient* takes it: empty cells are left out. Else why it is none.
    pub recipient: Result<Json, String>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct RecipientCsv {
    /// The cells of its heading, as they are in the file.
    pub heading: Vec<String>,
    /// The rows that are not empty.
    pub rows: Vec<Row>,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Column {
    /// A field of a recipient.
    Field(&'static str),
    Identifier(String),
}

impl Column {
    fn parse(heading: &str) -> Result<Self, String> {
        let name = heading.trim();
        let key = name.strip_prefix(IDENTIFIERS).unwrap_or(name);
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("name") {
            Ok(Self::Field("name"))
        } else if is("email") {
            Ok(Self::Field("email"))
        } else if is("stakeholder_class") || is("stakeholderClass") {
            Ok(Self::Field("stakeholderClass"))
        } else if let Some(known) = KNOWN_KEYS.iter().find(|known| known.eq_ignore_ascii_case(key)) {
            Ok(Self::Identifier((*known).to_owned()))
        } else if is_key(key) {
            Ok(Self::Identifier(key.to_owned()))
        } else {
            Err(format!(
                "has the column {:?}, which can be no identifier's key: 1 to 64 of A-Z, a-z, 0-9, _ and -, a letter first",
                shown(heading)
            ))
        }
    }
}

/// Reads a file. An error says what it must be, as the rest of a sentence that begins with the file.
///
/// # Errors
/// It is no CSV in UTF-8 whose first line is a heading with `name` and `email`.
pub fn read(content: &[u8]) -> Result<RecipientCsv, String> {
    if content.starts_with(b"\xff\xfe") || content.starts_with(b"\xfe\xff") || content.contains(&0) {
        return Err("must be in UTF-8, and is in UTF-16; save it as \"CSV UTF-8\"".to_owned());
    }
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    if std::str::from_utf8(content).is_err() {
        return Err("must be in UTF-8; save it as \"CSV UTF-8\"".to_owned());
    }
    // By lines, so that the empty ones before a record can be counted: spreadsheets do.
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .terminator(Terminator::Any(b'\n'))
        .from_reader(content);
    let (mut record, mut number, mut end) = (ByteRecord::new(), 0, 0);
    let mut next = || -> Result<Option<(usize, Vec<String>)>, String> {
        let is_there = reader.read_byte_record(&mut record).map_err(|_| "must be a CSV file".to_owned())?;
        let from =
            std::mem::replace(&mut end, usize::try_from(reader.position().byte()).unwrap_or(usize::MAX));
        let read = content.get(from..).unwrap_or_default();
        number += 1 + read.iter().take_while(|byte| **byte == b'\n').count();
        Ok(is_there.then(|| (number, cells(&record))))
    };
    let Some((_, heading)) = next()? else {
        return Err("must have a heading, such as name,email,stakeholder_class,lender_id".to_owned());
    };
    let columns = columns(&heading)?;
    let mut rows = Vec::new();
    while let Some((number, cells)) = next()? {
        if cells.iter().all(|cell| cell.trim().is_empty()) {
            continue;
        }
        let recipient = recipient(&columns, &cells);
        rows.push(Row { number, cells, recipient });
    }
    Ok(RecipientCsv { heading, rows })
}

/// The cells of a record, whose last one may end with half of its line's end.
fn cells(record: &ByteRecord) -> Vec<String> {
    let mut cells: Vec<String> =
        record.iter().map(|cell| String::from_utf8_lossy(cell).into_owned()).collect();
    if let Some(last) = cells.last_mut().filter(|last| last.ends_with('\r')) {
        last.pop();
    }
    cells
}

fn columns(heading: &[String]) -> Result<Vec<Column>, String> {
    if let [only] = heading {
        for (separator, name) in [(';', "semicolons"), ('\t', "tabs")] {
            if only.contains(separator) {
                return Err(format!("must have its columns separated by commas, and not by {name}"));
            }
        }
    }
    let columns: Vec<Column> = heading.iter().map(|name| Column::parse(name)).collect::<Result<_, _>>()?;
    for (at, column) in columns.iter().enumerate() {
        if columns.iter().take(at).any(|earlier| earlier == column) {
            return Err(format!(
                "has the column {:?} twice",
                shown(heading.get(at).map_or("", |name| name.trim()))
            ));
        }
    }
    for required in ["name", "email"] {
        if !columns.contains(&Column::Field(required)) {
            return Err(format!("must have a column {required} in its heading, the first line"));
        }
    }
    Ok(columns)
}

/// The recipient that a row is.
fn recipient(columns: &[Column], cells: &[String]) -> Result<Json, String> {
    if cells.len() != columns.len() {
        return Err(format!("The row has {} cells, and the heading {}", cells.len(), columns.len()));
    }
    let (mut members, mut identifiers) = (Vec::new(), Vec::new());
    for (column, cell) in columns.iter().zip(cells).filter(|(_, cell)| !cell.trim().is_empty()) {
        let value = Json::String(cell.trim().to_owned());
        match column {
            Column::Field(name) => members.push(((*name).to_owned(), value)),
            Column::Identifier(key) => identifiers.push((key.clone(), value)),
        }
    }
    if !identifiers.is_empty() {
        members.push(("identifiers".to_owned(), Json::Object(identifiers)));
    }
    Ok(Json::Object(members))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of each row its number, and what it is.
    fn rows(content: impl AsRef<[u8]>) -> Vec<(usize, String)> {
        let read = read(content.as_ref()).unwrap();
        let rows = read.rows.into_iter();
        rows.map(|row| (row.number, row.recipient.map_or_else(|why| why, |json| json.canonical()))).collect()
    }

    #[test]
    fn a_file_is_read_as_spreadsheets_write_it() {
        let expected = [
            (
                2,
                r#"{"email":"a@example.com","identifiers":{"lender_id":"LND-1"},"name":"Bank, \"A\""}"#
                    .to_owned(),
            ),
            (3, r#"{"email":"b@example.com","name":"Bänk","stakeholderClass":"mortgagee"}"#.to_owned()),
        ];
        let lines = [
            "name,email,stakeholder_class,lender_id",
            r#""Bank, ""A""",a@example.com,,LND-1"#,
            "Bänk,b@example.com,mortgagee,",
        ];
        for file in [
            lines.join("\n"),
            lines.join("\r\n") + "\r\n",
            format!("\u{feff}{}\r\n\r\n\r\n", lines.join("\r\n")),
            format!("{}\n,,,\n , ,,\n", lines.join("\n")),
            lines.join("\n").replace(
                "name,email,stakeholder_class,lender_id",
                " Name ,EMAIL,StakeholderClass,\"Lender_ID\"",
            ),
            lines.join("\n").replace("lender_id", "identifiers.lender_id"),
        ] {
            assert_eq!(rows(&file), expected, "{file:?}");
        }
    }

    #[test]
    fn rows_have_the_numbers_that_a_spreadsheet_shows() {
        let file = "name,email\nA,a@x\n\n\nB,\"b\nb\"\n,\nC,c@x\n";
        for file in [file.to_owned(), file.replace('\n', "\r\n"), format!("\n{file}")] {
            let first = usize::from(file.starts_with('\n'));
            let numbers: Vec<usize> = rows(&file).into_iter().map(|(number, _)| number - first).collect();
            assert_eq!(numbers, [2, 5, 7], "{file:?}");
        }
    }

    #[test]
    fn a_row_of_another_width_is_none() {
        assert_eq!(
            rows("name,email,a,b\nA,a@example.com,x\nB,b@example.com,,,y\n"),
            [
                (2, "The row has 3 cells, and the heading 4".to_owned()),
                (3, "The row has 5 cells, and the heading 4".to_owned())
            ]
        );
    }

    #[test]
    fn what_is_no_such_file_says_what_it_must_be() {
        let utf16: Vec<u8> = "name,email".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (file, message) in [
            (&b""[..], "must have a heading"),
            (b"\n\n", "must have a heading"),
            (b"name;email\n", "not by semicolons"),
            (b"name\temail\n", "not by tabs"),
            (b"\xff\xfen\0", "UTF-16"),
            (&utf16, "UTF-16"),
            (b"name,email\nM\xfcller,a@x\n", "must be in UTF-8"),
            (b"name,e-mail\n", "must have a column email"),
            (b"email,lender_id\n", "must have a column name"),
            (b"name,email,\n", "can be no identifier's key"),
            (b"name,email,policy number\n", "can be no identifier's key"),
            (b"name,email,Email\n", "\"Email\" twice"),
            (b"name,email,lender_id,identifiers.lender_id\n", "twice"),
        ] {
            let error = read(file).unwrap_err();
            assert!(error.contains(message), "{file:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(cells in prop::collection::vec(prop::collection::vec("[ -~\n\"é,]{0,8}", 3), 0..8), is_crlf: bool) {
            let mut writer = csv::WriterBuilder::new();
            if is_crlf {
                writer.terminator(Terminator::CRLF);
            }
            let mut writer = writer.from_writer(Vec::new());
            writer.write_record(["name", "email", "lender_id"]).unwrap();
            for row in &cells {
                writer.write_record(row).unwrap();
            }
            let read = read(&writer.into_inner().unwrap()).unwrap();
            let expected: Vec<(usize, &Vec<String>)> = cells
                .iter()
                .enumerate()
                .map(|(at, row)| (at + 2, row))
                .filter(|(_, row)| row.iter().any(|cell| !cell.trim().is_empty()))
                .collect();
            let read: Vec<(usize, &Vec<String>)> = read.rows.iter().map(|row| (row.number, &row.cells)).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn reading_never_panics(content: Vec<u8>, text in "(name|email|,|\n|\r|\"|;|x){0,30}") {
            let _ = read(&content);
            let _ = read(text.as_bytes());
        }
    }
}
