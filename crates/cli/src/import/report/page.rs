//! `report.html`: the report as a page for people, in one file that loads nothing.

use std::io::Write;

use anyhow::Result;
use base64::{Engine, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ring::digest;
use rust_decimal::Decimal;

use super::{
    Class, GroupReport, RejectedFiles, Report, SumReport, TableReport,
    groups::Section,
    page_data,
    text::{counted, grouped},
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Writes the page. `json` is the name of the file that has all rows.
pub(super) fn write(page: &mut impl Write, report: &Report, json: &str) -> Result<()> {
    let groups = report.groups.list();
    let content = html! {
        (DOCTYPE)
        (PreEscaped("<html lang=\"en\">"))
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta http-equiv="Content-Security-Policy" content=(policy());
            meta name="referrer" content="no-referrer";
            title { "Import of " (day(report)) }
            style { (PreEscaped(STYLE)) }
        }
        (PreEscaped("<body>"))
        (heading(report))
        main {
            (todo(report, &groups))
            (counts(report))
            (sums(report))
            (rows(&groups, json))
            (remarks(report))
            (not_understood(report))
            (files(report, json))
        }
    };
    page.write_all(content.into_string().as_bytes())?;
    page.write_all(b"<script type=\"application/json\" id=\"data\">")?;
    page_data::write(page, report, &groups)?;
    writeln!(page, "</script><script>{SCRIPT}</script></body></html>")?;
    Ok(())
}

/// Returns the Content Security Policy: only the style and the script of the page count, and it loads nothing.
fn policy() -> String {
    let hash = |text: &str| STANDARD.encode(digest::digest(&digest::SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

fn day(report: &Report) -> String {
    report.started_at.format("%-d %B %Y").to_string()
}

fn heading(report: &Report) -> Markup {
    html! {
        header {
            h1 { @if report.dry_run { "Dry run of an import" } @else { "Import" } }
            p {
                "From " strong { (report.source) } " on " (day(report)) " at " (report.started_at.format("%H:%M (UTC%:z)")) ". "
                @if report.dry_run {
                    span.badge { "Nothing was stored" }
                    " This is what an import would do."
                } @else {
                    span.badge.good { "Stored in RO Tracker" }
                }
            }
            ul.numbers {
                @for class in Class::ALL {
                    li class=[(report.count(class) > 0).then_some(class.name())] {
                        strong { (count(report.count(class))) }
                        @if report.count(class) == 1 { "row " } @else { "rows " }
                        @if report.dry_run { "would be " } (class.name())
                    }
                }
            }
        }
    }
}

/// Lists what people have to do.
fn todo(report: &Report, groups: &[GroupReport]) -> Markup {
    let rows =
        |section: Section| groups.iter().filter(|group| group.group.section == section).map(|group| group.rows).sum();
    let (to_mend, conflicts): (u64, u64) = (rows(Section::Rejected), rows(Section::Conflict));
    let in_notes: u64 =
        groups.iter().filter(|group| group.group.title == "kept in the notes").map(|group| group.rows).sum();
    let unknown: Vec<&TableReport> =
        report.tables.iter().filter(|table| !table.is_understood && table.rows > 0).collect();
    let unmapped: Vec<(&TableReport, String)> = report
        .tables
        .iter()
        .filter(|table| table.is_understood)
        .map(|table| (table, names(unmapped_columns(table).map(|(column, _)| column.clone()))))
        .filter(|(_, columns)| !columns.is_empty())
        .collect();
    let is_to_mend = |files: &&RejectedFiles| !unknown.iter().any(|table| table.table == files.table);
    let to_mend_in: Vec<&RejectedFiles> = report.rejected_files.iter().filter(is_to_mend).collect();
    let is_done = !report.dry_run
        && to_mend + conflicts + in_notes == 0
        && unknown.is_empty()
        && unmapped.is_empty()
        && report.deleted_in_source.is_empty();
    html! {
        section.todo aria-labelledby="todo" {
            h2 #todo { "What to do next" }
            @if is_done { p { "Nothing. All rows came in." } }
            ol {
                @if report.dry_run {
                    li {
                        strong { "Run the import. " }
                        "This was a dry run, which stores nothing. Look through this report, then run the same command without "
                        code { "--dry-run" } "."
                    }
                }
                @if to_mend > 0 {
                    li {
                        strong { "Mend " (counted(to_mend, "row that was", "rows that were")) " rejected. " }
                        p {
                            "They are not in RO Tracker. The last column of these files, " code { "reason" } ", says what is wrong with each"
                            @if conflicts > 0 { ". The rows of the next point are in these files, too" }
                            ":"
                        }
                        ul {
                            @for files in &to_mend_in {
                                li {
                                    (files.table) ": " (rows_text(files.rows)) " in "
                                    (link(files.workbook.as_deref().unwrap_or(&files.csv)))
                                    @if files.workbook.is_some() { ", and as text in " (link(&files.csv)) }
                                    @if files.too_long_for_workbook > 0 {
                                        ". " strong { (too_long(files)) }
                                    }
                                }
                            }
                        }
                        (how_to_import_again(&to_mend_in, report.dry_run))
                    }
                }
                @if conflicts > 0 {
                    li {
                        strong { "Decide about " (counted(conflicts, "row that differs", "rows that differ")) " here and in the source. " }
                        p {
                            "RO Tracker kept its own values. Where the source is right, correct the row in RO Tracker by hand. To take the \
                             source's values in all of them, run the import again with " code { "--on-conflict replace" } ". A row that was \
                             deleted here, or that came from elsewhere, is never overwritten."
                        }
                    }
                }
                @if in_notes > 0 {
                    li {
                        strong { "Look at " (rows_text(in_notes)) " with a date or an amount that cannot be read. " }
                        p { "The field is empty. What was found, such as " code { "TBD" } ", is at the end of the notes of the order." }
                    }
                }
                @if !unknown.is_empty() {
                    li {
                        strong { "Say what these tables hold, if they are needed. " }
                        p {
                            "Their names or headings are unknown, so nothing in RO Tracker shows their rows. They are kept as they were found: "
                            (names(unknown.iter().map(|table| format!("{} ({})", table.table, rows_text(table.rows))))) "."
                        }
                        (how_to_map())
                    }
                }
                @if !unmapped.is_empty() {
                    li {
                        strong { "Check whether these columns are needed. " }
                        p {
                            "RO Tracker has no field for them, so nothing shows their values. They are kept as they were found:"
                        }
                        ul { @for (table, columns) in &unmapped { li { (table.table) ": " (columns) } } }
                        (how_to_map())
                    }
                }
                @if !report.deleted_in_source.is_empty() {
                    li {
                        strong {
                            "Check " (rows_text(report.deleted_in_source.len() as u64)) " that the source no longer has. "
                        }
                        p { "They came in earlier and are still in RO Tracker. Delete them there if they should go." }
                        (deleted(report))
                    }
                }
            }
        }
    }
}

/// Says how mended rows come in.
fn how_to_import_again(files: &[&RejectedFiles], dry_run: bool) -> Markup {
    html! {
        p {
            @if dry_run { "First run the import itself. Then either" } @else { "Either" }
            " correct the rows where they came from and run the same import again; RO Tracker recognizes the rows that it already has. "
            "Or correct them in the file, save it, and import the file:"
        }
        @if let Some(first) = files.first() {
            code.command { "rotracker import " (first.workbook.as_deref().unwrap_or(&first.csv)) }
        }
    }
}

/// Says how tables and columns that are not understood come in.
fn how_to_map() -> Markup {
    html! {
        p {
            "Run the same command with " code { "--map-template map.toml" } ", fill in that file, and import again with "
            code { "--map map.toml" } "."
        }
    }
}

fn deleted(report: &Report) -> Markup {
    const MOST: usize = 200;
    html! {
        details {
            summary { "Which they are" }
            div.list {
                ul {
                    @for row in report.deleted_in_source.iter().take(MOST) {
                        li { (row.kind) ", row " (row.row) " of the source, with the id " (row.target) " here" }
                    }
                }
                @if report.deleted_in_source.len() > MOST {
                    p { "These are the first " (MOST) ". The list deletedInSource in the report for programs has all of them." }
                }
            }
        }
    }
}

fn too_long(files: &RejectedFiles) -> String {
    let rows: Vec<String> = files.first_too_long.iter().map(|row| format!("row {row}")).collect();
    let more = if files.too_long_for_workbook > rows.len() as u64 { " and others" } else { "" };
    format!(
        "{} in the text file only, because a cell of Excel holds at most 32,767 characters: {}{more}",
        counted(files.too_long_for_workbook, "row is", "rows are"),
        rows.join(", ")
    )
}

fn counts(report: &Report) -> Markup {
    html! {
        section aria-labelledby="counts" {
            h2 #counts { "How many rows" }
            (scrolling("Rows by table", html! {
                table {
                    thead {
                        tr {
                            th scope="col" { "Table" }
                            th.number scope="col" { "Rows" }
                            @for class in Class::ALL { th.number scope="col" { (class.name()) } }
                        }
                    }
                    tbody {
                        @for table in &report.tables {
                            tr {
                                th scope="row" {
                                    (table.table)
                                    @if !table.is_understood { " " span.badge { "not understood" } }
                                }
                                td.number { (count(table.rows)) }
                                @for class in Class::ALL {
                                    (count_cell(class, table.classes.get(&class).copied().unwrap_or_default()))
                                }
                            }
                        }
                    }
                    tfoot {
                        tr {
                            th scope="row" { "All tables" }
                            td.number { (count(report.tables.iter().map(|table| table.rows).sum())) }
                            @for class in Class::ALL { (count_cell(class, report.count(class))) }
                        }
                    }
                }
            }))
            dl.words {
                @for class in Class::ALL {
                    dt { (class.name()) }
                    dd { (explanation(class)) }
                }
            }
        }
    }
}

fn count_cell(class: Class, rows: u64) -> Markup {
    let name = match (class, rows) {
        (_, 0) => "number zero",
        (Class::Rejected, _) => "number some-rejected",
        _ => "number",
    };
    html! { td class=(name) { (count(rows)) } }
}

fn explanation(class: Class) -> &'static str {
    match class {
        Class::Imported => "New in RO Tracker, exactly as found.",
        Class::Corrected => {
            "New in RO Tracker, with corrections such as another notation of a date. Each is listed below."
        }
        Class::Updated => "Already in RO Tracker, and changed in the source since.",
        Class::Unchanged => "Already in RO Tracker; the source has nothing new.",
        Class::Rejected => "Not in RO Tracker as the source has it, until someone mends the row or decides about it.",
        Class::Skipped => {
            "Left out on purpose: a blank row, a heading, an exact repetition, or the copy of an order that counts elsewhere."
        }
    }
}

fn sums(report: &Report) -> Markup {
    let sums: Vec<(&TableReport, &String, &SumReport)> = report
        .tables
        .iter()
        .flat_map(|table| table.sums.iter().map(move |(column, sum)| (table, column, sum)))
        .collect();
    html! {
        @if !sums.is_empty() {
            section aria-labelledby="sums" {
                h2 #sums { "Do the sums agree?" }
                p { "The source's sum is always that of the imported rows plus that of the rows left out." }
                (scrolling("Sums by column", html! {
                    table {
                        thead {
                            tr {
                                th scope="col" { "Column" }
                                th.number scope="col" { "Source" }
                                th.number scope="col" { "Left out" }
                                th.number scope="col" { "Imported, as found" }
                                th.number scope="col" { "As stored" }
                                th.number scope="col" { "In RO Tracker now" }
                                th scope="col" { "In words" }
                            }
                        }
                        tbody {
                            @for (table, column, sum) in sums {
                                @let amount = |amount| shown_amount(column, amount);
                                tr {
                                    th scope="row" { (column) " of " (table.table) }
                                    td.number { (amount(sum.source)) }
                                    td.number { (amount(sum.left_out)) }
                                    td.number { (amount(sum.taken)) }
                                    td.number { (amount(sum.stored)) }
                                    td.number { @if let Some(here) = sum.here { (amount(here)) } @else { "–" } }
                                    td.words { (in_words(sum, amount, report.dry_run)) }
                                }
                            }
                        }
                    }
                }))
            }
        }
    }
}

/// Explains the differences of a sum.
fn in_words(sum: &SumReport, amount: impl Fn(Decimal) -> String, dry_run: bool) -> String {
    let is_nothing = [sum.source, sum.stored, sum.here.unwrap_or_default()].iter().all(Decimal::is_zero);
    if is_nothing && sum.left_out.is_zero() {
        return "Nothing to add up.".to_owned();
    }
    let mut sentences = Vec::new();
    if sum.left_out != Decimal::ZERO {
        sentences.push(format!("{} is in rows that were rejected or skipped.", amount(sum.left_out)));
    }
    if sum.stored != sum.taken {
        sentences.push(format!(
            "Corrections {} it by {}.",
            direction(sum.stored - sum.taken),
            amount((sum.stored - sum.taken).abs())
        ));
    }
    match sum.here {
        Some(here) if here != sum.stored => sentences.push(format!(
            "RO Tracker has {} {} than the source: rows were changed here since an earlier import, or rejected rows still have the \
             values that they had.",
            amount((here - sum.stored).abs()),
            if here > sum.stored { "more" } else { "less" }
        )),
        Some(_) => sentences.push("All that was imported is in RO Tracker.".to_owned()),
        None if dry_run => sentences.push("Nothing is stored in a dry run.".to_owned()),
        None => {}
    }
    sentences.join(" ")
}

fn direction(difference: Decimal) -> &'static str {
    if difference > Decimal::ZERO { "raised" } else { "lowered" }
}

/// The sections of the rows, with their headings and explanations.
const SECTIONS: [(Section, &str, &str); 7] = [
    (Section::Rejected, "Rejected", "These rows are not in RO Tracker. Mend them and import them again."),
    (Section::Conflict, "Changed on both sides", "RO Tracker kept its own values. Decide which are right."),
    (Section::NotUnderstood, "Not understood", "These rows are kept, but nothing in RO Tracker shows them."),
    (
        Section::Corrected,
        "Corrected",
        "These rows come in. Some of their values are stored in another form than they were found.",
    ),
    (Section::Updated, "Updated", "These rows are in RO Tracker already and take over a change of the source."),
    (Section::Skipped, "Left out on purpose", "Nothing is missing because of these."),
    (Section::Remark, "Good to know", "Nothing was changed for these."),
];

fn rows(groups: &[GroupReport], json: &str) -> Markup {
    html! {
        section aria-labelledby="rows" {
            h2 #rows { "Row by row" }
            @if groups.is_empty() {
                p { "All rows came in as they were found." }
            }
            div.search #search hidden {
                label for="query" { "Search all rows" }
                input #query type="search" autocomplete="off" placeholder="A part number, an order, a shop, a reason";
                p #hits role="status" { }
                p.faint #some hidden { "Only the first rows of each group are in this page. " (link(json)) " has all of them." }
            }
            p #plain { "The single rows are shown with JavaScript only. " (link(json)) " has all of them." }
            div #results hidden { }
            div #groups {
                @for (section, title, explanation) in SECTIONS {
                    @let of_section: Vec<(usize, &GroupReport)> =
                        groups.iter().enumerate().filter(|(_, group)| group.group.section == section).collect();
                    @if !of_section.is_empty() {
                        h3 { (title) }
                        p.faint { (explanation) }
                        @for (place, group) in of_section {
                            details.group data-group=(place) {
                                summary { (capitalized(&group.group.title)) " " span.count { (rows_text(group.rows)) } }
                                div.list { }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Says how tables were read: hidden rows, merged cells, headings that two columns fit.
fn remarks(report: &Report) -> Markup {
    let tables: Vec<&TableReport> = report.tables.iter().filter(|table| !table.remarks.is_empty()).collect();
    html! {
        @if !tables.is_empty() {
            section aria-labelledby="remarks" {
                h2 #remarks { "How the tables were read" }
                @for table in tables {
                    h3 { (table.table) }
                    ul { @for remark in &table.remarks { li { (capitalized(remark)) } } }
                }
            }
        }
    }
}

/// Returns the columns without a field of ours that have values, with the number of those.
fn unmapped_columns(table: &TableReport) -> impl Iterator<Item = (&String, u64)> {
    table.unmapped_columns.iter().map(|(column, rows)| (column, *rows)).filter(|(_, rows)| *rows > 0)
}

fn not_understood(report: &Report) -> Markup {
    let tables: Vec<&TableReport> = report.tables.iter().filter(|table| !table.is_understood).collect();
    let columns: Vec<(&TableReport, &String, u64)> = report
        .tables
        .iter()
        .filter(|table| table.is_understood)
        .flat_map(|table| unmapped_columns(table).map(move |(column, rows)| (table, column, rows)))
        .collect();
    html! {
        section aria-labelledby="unknown" {
            h2 #unknown { "What was not understood" }
            @if tables.is_empty() && columns.is_empty() && report.not_read.is_empty() { p { "Nothing: every table, and every column that has values, is known." } }
            @if !tables.is_empty() {
                h3 { "Tables and sheets" }
                ul {
                    @for table in tables {
                        li { strong { (table.table) } ": " (rows_text(table.rows)) ", with the columns " (table.columns.join(", ")) }
                    }
                }
            }
            @if !columns.is_empty() {
                h3 { "Columns" }
                (scrolling("Columns that were not understood", html! {
                    table {
                        thead { tr { th scope="col" { "Table" } th scope="col" { "Column" } th.number scope="col" { "Values" } } }
                        tbody {
                            @for (table, column, rows) in columns {
                                tr { td { (table.table) } th scope="row" { (column) } td.number { (count(rows)) } }
                            }
                        }
                    }
                }))
            }
            @if !report.not_read.is_empty() {
                h3 { "Not read" }
                ul { @for part in &report.not_read { li { (part) } } }
            }
        }
    }
}

fn files(report: &Report, json: &str) -> Markup {
    html! {
        section aria-labelledby="files" {
            h2 #files { "The files of this report" }
            ul {
                li { (link(json)) ": this report for programs, with all rows that are listed here" }
                @for files in &report.rejected_files {
                    li {
                        @if let Some(workbook) = &files.workbook { (link(workbook)) " and " }
                        (link(&files.csv)) ": the rejected rows of " (files.table) " with all their columns, for a spreadsheet and as text"
                        @if files.workbook.is_none() { " only, because it has more columns than Excel" }
                    }
                }
            }
        }
    }
}

/// A box for a wide table, which scrolls by itself.
fn scrolling(label: &str, table: Markup) -> Markup {
    html! { div.scroll role="region" aria-label=(label) tabindex="0" { (table) } }
}

/// A link to a file beside the page. Names of files have percent signs, which a link must escape.
fn link(file: &str) -> Markup {
    html! { a href=(format!("./{}", file.replace('%', "%25"))) { (file) } }
}

fn names(names: impl IntoIterator<Item = String>) -> String {
    names.into_iter().collect::<Vec<_>>().join(", ")
}

fn rows_text(rows: u64) -> String {
    counted(rows, "row", "rows")
}

fn count(rows: u64) -> String {
    grouped(&rows)
}

/// Writes a sum: money with cents, or with all decimals if it has more.
fn shown_amount(column: &str, amount: Decimal) -> String {
    let mut shown = amount.normalize();
    let is_money = column.ends_with("_COST") || column == "YTD_Sales";
    if is_money && shown.scale() < 2 {
        shown.rescale(2);
    }
    grouped(&shown)
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().into_iter().flat_map(char::to_uppercase).chain(characters).collect()
}
