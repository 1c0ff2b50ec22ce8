//! The records of a ZIP archive (APPNOTE.TXT 6.3.10) whose contents are stored as they are.
//!
//! The CRC-32 of a content follows the content in a data descriptor, because it is known only then. Sizes are known
//! beforehand, so the length of the whole archive is. ZIP64 fields appear where a size or an offset needs them.
//!
//! Invariant: [`length`] runs the same code as the archive itself, so both always agree.

use std::time::SystemTime;

/// The value of a 32-bit field whose real value stands in a ZIP64 field.
const IN_ZIP64: u32 = u32::MAX;

/// A data descriptor follows the content (bit 3), and names are UTF-8 (bit 11).
const FLAGS: u16 = 1 << 3 | 1 << 11;

/// The versions of the format that readers need: 2.0, and 4.5 for ZIP64.
const VERSION: (u16, u16) = (20, 45);

/// The system whose file attributes follow: Unix.
const UNIX: u16 = 3 << 8;

/// A regular file that its owner may write and everybody may read.
const ATTRIBUTES: u32 = 0o100_644 << 16;

/// The extra fields: sizes and offsets of 64 bits, and a time in seconds since the Unix epoch.
const ZIP64: u16 = 0x0001;
const UNIX_TIME: u16 = 0x5455;

/// A file of an archive.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The path in the archive, at most 65,535 bytes.
    pub(crate) path: String,
    /// The size in bytes.
    pub(crate) size: u64,
    /// The time of the last change.
    pub(crate) modified: SystemTime,
}

/// An archive in progress: where it is, and the directory that stands at its end.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    offset: u64,
    directory: Vec<u8>,
    entries: u64,
}

impl Archive {
    /// Returns the record before the content of `entry`.
    pub(crate) fn header(entry: &Entry) -> Vec<u8> {
        let mut extra = unix_time(entry);
        if is_large(entry.size) {
            // The descriptor has the sizes; this field says that they have 64 bits there.
            extra.extend(field(ZIP64, &[0; 16]));
        }
        let size = if is_large(entry.size) { IN_ZIP64 } else { 0 };
        let mut record = Vec::new();
        record.extend(0x0403_4b50_u32.to_le_bytes());
        record.extend(common(entry, needed(is_large(entry.size)), 0, [size; 2], extra.len()));
        record.extend(entry.path.as_bytes());
        record.extend(extra);
        record
    }

    /// Returns the record after the content of `entry`, whose CRC-32 is `crc`, and adds the entry to the directory.
    pub(crate) fn descriptor(&mut self, entry: &Entry, crc: u32) -> Vec<u8> {
        let mut record = Vec::new();
        record.extend(0x0807_4b50_u32.to_le_bytes());
        record.extend(crc.to_le_bytes());
        for _ in 0..2 {
            match u32::try_from(entry.size) {
                Ok(size) if !is_large(entry.size) => record.extend(size.to_le_bytes()),
                _ => record.extend(entry.size.to_le_bytes()),
            }
        }
        self.list(entry, crc);
        let length = Archive::header(entry).len() + record.len();
        self.offset = self.offset.saturating_add(entry.size).saturating_add(length as u64);
        record
    }

    fn list(&mut self, entry: &Entry, crc: u32) {
        let mut large = Vec::new();
        if is_large(entry.size) {
            large.extend([entry.size; 2].map(u64::to_le_bytes).concat());
        }
        if is_large(self.offset) {
            large.extend(self.offset.to_le_bytes());
        }
        let mut extra = unix_time(entry);
        if !large.is_empty() {
            extra.extend(field(ZIP64, &large));
        }
        let needed = needed(!large.is_empty());
        let record = &mut self.directory;
        record.extend(0x0201_4b50_u32.to_le_bytes());
        record.extend((UNIX | VERSION.1).to_le_bytes());
        record.extend(common(entry, needed, crc, [short(entry.size); 2], extra.len()));
        // No comment, the first disk, no internal attributes.
        record.extend([0; 6]);
        record.extend(ATTRIBUTES.to_le_bytes());
        record.extend(short(self.offset).to_le_bytes());
        record.extend(entry.path.as_bytes());
        record.extend(extra);
        self.entries += 1;
    }

    /// Returns the directory and the end of the archive.
    pub(crate) fn finish(self) -> Vec<u8> {
        let Archive { offset, directory, entries } = self;
        let size = directory.len() as u64;
        let mut end = directory;
        if is_large(offset) || is_large(size) || entries >= u64::from(u16::MAX) {
            let start = offset.saturating_add(size);
            end.extend(0x0606_4b50_u32.to_le_bytes());
            // The bytes of this record that follow.
            end.extend(44_u64.to_le_bytes());
            end.extend((UNIX | VERSION.1).to_le_bytes());
            end.extend(VERSION.1.to_le_bytes());
            end.extend([0; 8]);
            end.extend([entries, entries, size, offset].map(u64::to_le_bytes).concat());
            // Where to find that record: on the first of one disk.
            end.extend(0x0706_4b50_u32.to_le_bytes());
            end.extend(0_u32.to_le_bytes());
            end.extend(start.to_le_bytes());
            end.extend(1_u32.to_le_bytes());
        }
        let entries = u16::try_from(entries).unwrap_or(u16::MAX);
        end.extend(0x0605_4b50_u32.to_le_bytes());
        end.extend([0; 4]);
        end.extend([entries; 2].map(u16::to_le_bytes).concat());
        end.extend(short(size).to_le_bytes());
        end.extend(short(offset).to_le_bytes());
        // No comment.
        end.extend([0; 2]);
        end
    }
}

/// Returns the length of the archive of `entries`, in bytes.
pub(crate) fn length<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> u64 {
    let mut archive = Archive::default();
    for entry in entries {
        archive.descriptor(entry, 0);
    }
    archive.offset.saturating_add(archive.finish().len() as u64)
}

/// Returns the fields that both records of an entry share.
fn common(entry: &Entry, version: u16, crc: u32, sizes: [u32; 2], extra: usize) -> Vec<u8> {
    let (date, time) = dos_time(seconds(entry));
    let mut fields = Vec::new();
    // Method 0: stored.
    fields.extend([version, FLAGS, 0, time, date].map(u16::to_le_bytes).concat());
    fields.extend(crc.to_le_bytes());
    fields.extend(sizes.map(u32::to_le_bytes).concat());
    fields.extend(
        [entry.path.len(), extra].map(|length| u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes()).concat(),
    );
    fields
}

fn is_large(value: u64) -> bool {
    value >= u64::from(IN_ZIP64)
}

fn short(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(IN_ZIP64)
}

fn needed(large: bool) -> u16 {
    if large { VERSION.1 } else { VERSION.0 }
}

/// Returns an extra field.
fn field(id: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    [&id.to_le_bytes(), &length.to_le_bytes(), value].concat()
}

/// Returns the extra field with the time of an entry; nothing if the time needs more than 32 bits.
fn unix_time(entry: &Entry) -> Vec<u8> {
    // Bit 0: the time of the last change follows.
    i32::try_from(seconds(entry))
        .map_or_else(|_| Vec::new(), |time| field(UNIX_TIME, &[&[1], time.to_le_bytes().as_slice()].concat()))
}

/// Returns the time of an entry in seconds since the Unix epoch.
fn seconds(entry: &Entry) -> u64 {
    entry.modified.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Returns date and time as MS-DOS has them, in UTC: from 1980 to 2107, in steps of two seconds.
fn dos_time(seconds: u64) -> (u16, u16) {
    const FIRST: u64 = 315_532_800; // 1980-01-01
    const LAST: u64 = 4_354_819_199; // 2107-12-31
    let seconds = seconds.clamp(FIRST, LAST);
    // The civil calendar from days, by years that begin in March and eras of 400 years.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 { (month + 3, year) } else { (month - 9, year + 1) };
    let year = year + 400 * era - 1980;
    let rest = seconds % 86_400;
    let date = (year << 9) | (month << 5) | day;
    let time = ((rest / 3_600) << 11) | ((rest / 60 % 60) << 5) | (rest % 60 / 2);
    (u16::try_from(date).unwrap_or_default(), u16::try_from(time).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{Archive, Entry, dos_time, length};
    use std::time::{Duration, SystemTime};

    const GIB: u64 = 1 << 30;

    fn entry(path: &str, size: u64) -> Entry {
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_001);
        Entry { path: path.to_owned(), size, modified }
    }

    /// Returns the little-endian number in `bytes`.
    fn number(bytes: &[u8]) -> u64 {
        bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    #[test]
    fn dates_of_dos() {
        for (seconds, date, time) in [
            (0, [1980, 1, 1], [0, 0, 0]),
            (1_795_000_001, [2026, 11, 18], [11, 6, 40]),
            (951_782_400, [2000, 2, 29], [0, 0, 0]),
            (978_307_199, [2000, 12, 31], [23, 59, 58]),
            (4_107_542_399, [2100, 2, 28], [23, 59, 58]),
            (4_107_542_400, [2100, 3, 1], [0, 0, 0]),
            (u64::MAX, [2107, 12, 31], [23, 59, 58]),
        ] {
            let [year, month, day]: [u16; 3] = date;
            let [hour, minute, second]: [u16; 3] = time;
            let expected = (((year - 1980) << 9) | (month << 5) | day, (hour << 11) | (minute << 5) | (second / 2));
            assert_eq!(dos_time(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_small_archive_has_no_zip64() {
        let entry = entry("naïve.txt", 5);
        let header = Archive::header(&entry);
        assert_eq!((number(&header[4..6]), number(&header[6..8])), (20, 0x0808));
        assert_eq!(number(&header[14..26]), 0, "sizes and CRC follow the content");
        assert_eq!(&header[30..40], "naïve.txt".as_bytes());
        let mut archive = Archive::default();
        let descriptor = archive.descriptor(&entry, 0x1234_5678);
        assert_eq!(descriptor.len(), 16);
        assert_eq!((number(&descriptor[4..8]), number(&descriptor[8..12])), (0x1234_5678, 5));
        let end = archive.finish();
        let at = end.len() - 22;
        assert_eq!(number(&end[at..at + 4]), 0x0605_4b50);
        let start = (header.len() + 5 + descriptor.len()) as u64;
        assert_eq!((number(&end[at + 12..at + 16]), number(&end[at + 16..at + 20])), (at as u64, start));
        assert_eq!(length([&entry]), start + end.len() as u64);
    }

    #[test]
    fn large_files_and_those_behind_them_have_zip64() {
        let (large, behind) = (entry("large", 5 * GIB), entry("behind", 7));
        let header = Archive::header(&large);
        assert_eq!((number(&header[4..6]), number(&header[18..26])), (45, u64::MAX));
        assert_eq!(number(&header[26..28]), 5);
        assert_eq!(number(&header[28..30]), 9 + 20);
        assert_eq!((number(&header[44..46]), number(&header[46..48])), (1, 16));
        let mut archive = Archive::default();
        let descriptor = archive.descriptor(&large, 1);
        assert_eq!(descriptor.len(), 24);
        assert_eq!((number(&descriptor[8..16]), number(&descriptor[16..24])), (5 * GIB, 5 * GIB));
        let offset = 5 * GIB + (header.len() + descriptor.len()) as u64;
        assert_eq!(archive.offset, offset);
        assert_eq!(archive.descriptor(&behind, 2).len(), 16);
        let (start, listed) = (archive.offset, archive.directory.len());
        let end = archive.finish();

        // Both sizes of the first in its extra field, and only the offset of the second.
        assert_eq!((number(&end[20..24]), number(&end[24..28]), number(&end[42..46])), (0xffff_ffff, 0xffff_ffff, 0));
        let extra = &end[46 + 5 + 9..];
        assert_eq!((number(&extra[..2]), number(&extra[2..4])), (1, 16));
        assert_eq!((number(&extra[4..12]), number(&extra[12..20])), (5 * GIB, 5 * GIB));
        let second = &extra[20..];
        assert_eq!((number(&second[..4]), number(&second[6..8])), (0x0201_4b50, 45));
        assert_eq!((number(&second[24..28]), number(&second[42..46])), (7, 0xffff_ffff));
        let extra = &second[46 + 6 + 9..];
        assert_eq!((number(&extra[..2]), number(&extra[2..4]), number(&extra[4..12])), (1, 8, offset));

        let zip64 = &end[listed..];
        assert_eq!((number(&zip64[..4]), zip64.len()), (0x0606_4b50, 56 + 20 + 22));
        assert_eq!((number(&zip64[24..32]), number(&zip64[40..48]), number(&zip64[48..56])), (2, listed as u64, start));
        assert_eq!((number(&zip64[56..60]), number(&zip64[64..72])), (0x0706_4b50, start + listed as u64));
        assert_eq!(number(&zip64[76 + 16..76 + 20]), 0xffff_ffff);
        assert_eq!(length([&large, &behind]), start + end.len() as u64);
    }

    #[test]
    fn the_first_size_that_needs_zip64() {
        for (size, large) in [(0xffff_fffe, false), (0xffff_ffff, true), (0x1_0000_0000, true)] {
            let mut archive = Archive::default();
            assert_eq!(archive.descriptor(&entry("x", size), 0).len(), if large { 24 } else { 16 }, "{size}");
        }
    }

    #[test]
    fn very_many_files_have_zip64() {
        let entries: Vec<Entry> = (0..0xffff).map(|number| entry(&number.to_string(), 0)).collect();
        let mut archive = Archive::default();
        entries.iter().for_each(|entry| drop(archive.descriptor(entry, 0)));
        let listed = archive.directory.len();
        assert_eq!(archive.finish().len(), listed + 56 + 20 + 22);
    }
}
