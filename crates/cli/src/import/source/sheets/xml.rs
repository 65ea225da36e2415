//! XML in zip files.

use std::{
    fs::File,
    io::{BufReader, Read, Seek},
};

use anyhow::{Result, anyhow, bail};
use quick_xml::{
    Reader, XmlVersion,
    events::{BytesStart, Event},
};
use zip::{ZipArchive, read::ZipFile, result::ZipError};

use super::process::{damaged, io_failure};

/// The most bytes of all parts together, as the zip file itself says. The limits of the process hold if it lies.
const MAX_UNCOMPRESSED: u64 = 4 << 30;

pub(super) type Zip = ZipArchive<BufReader<File>>;
pub(super) type Xml<'zip> = Reader<BufReader<ZipFile<'zip, BufReader<File>>>>;

/// Opens a zip file.
///
/// # Errors
/// When it is damaged, or its parts are too large.
pub(super) fn open(file: File) -> Result<Zip> {
    let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|error| zip_failure(&error))?;
    let mut size = 0_u64;
    for index in 0..zip.len() {
        let part = zip.by_index_raw(index).map_err(|error| zip_failure(&error))?;
        size = size.saturating_add(part.size());
    }
    if size > MAX_UNCOMPRESSED {
        bail!("is too large: unpacked, it has {} GB, and at most {} can be read", size >> 30, MAX_UNCOMPRESSED >> 30);
    }
    Ok(zip)
}

pub(super) fn zip_failure(error: &ZipError) -> anyhow::Error {
    if let ZipError::Io(error) = error { io_failure(error) } else { damaged() }
}

pub(super) fn xml_failure(error: &quick_xml::Error) -> anyhow::Error {
    if let quick_xml::Error::Io(error) = error { io_failure(error) } else { damaged() }
}

/// Returns the names of all parts.
pub(super) fn names<R: Read + Seek>(zip: &ZipArchive<R>) -> Vec<String> {
    zip.file_names().filter_map(Result::ok).map(|name| name.into_owned()).collect()
}

/// Opens a part by its name, in which case does not matter. Returns `None` if there is no such part.
pub(super) fn part<'zip>(zip: &'zip mut Zip, name: &str) -> Result<Option<Xml<'zip>>> {
    let wanted = |found: &String| found.replace('\\', "/").eq_ignore_ascii_case(name);
    let Some(name) = names(zip).into_iter().find(wanted) else { return Ok(None) };
    let part = zip.by_name(&name).map_err(|error| zip_failure(&error))?;
    let mut xml = Reader::from_reader(BufReader::new(part));
    xml.config_mut().expand_empty_elements = true;
    Ok(Some(xml))
}

/// Calls `see` with each element that begins, and with `None` for each that ends. The names are without prefixes.
///
/// # Errors
/// When the XML is damaged or cut off, or `see` fails.
pub(super) fn walk(mut xml: Xml, mut see: impl FnMut(&str, Option<&BytesStart>) -> Result<()>) -> Result<()> {
    let mut buffer = Vec::new();
    let mut depth = 0_u32;
    let mut is_empty = true;
    loop {
        buffer.clear();
        match xml.read_event_into(&mut buffer).map_err(|error| xml_failure(&error))? {
            Event::Start(element) => {
                (depth, is_empty) = (depth + 1, false);
                see(element.local_name().as_ref(), Some(&element))?;
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                see(element.local_name().as_ref(), None)?;
            }
            Event::Eof if depth == 0 && !is_empty => return Ok(()),
            Event::Eof => return Err(damaged()),
            _ => {}
        }
    }
}

/// Returns an attribute by its name without a prefix.
pub(super) fn attribute(element: &BytesStart, name: &str) -> Result<Option<String>> {
    for attribute in element.attributes().with_checks(false) {
        let attribute = attribute.map_err(|_| damaged())?;
        if attribute.key.local_name().as_ref() == name {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| damaged())?;
            return Ok(Some(value.into_owned()));
        }
    }
    Ok(None)
}

/// Returns an attribute that is a number.
pub(super) fn number(element: &BytesStart, name: &str) -> Result<Option<u32>> {
    let Some(text) = attribute(element, name)? else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| anyhow!(damaged()))
}
