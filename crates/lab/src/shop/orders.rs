//! The order book: a file to which each order is appended, and an index of the file in memory. Orders are never changed or removed.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hasher as _},
    io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// Number of rounds of a receipt's hash chain. It is the processor work of one order.
const ROUNDS: u64 = 5000;
/// The items of the shop, with their prices in cents.
const CATALOGUE: [(&str, u64); 5] =
    [("extinguisher", 4999), ("blanket", 1250), ("axe", 7400), ("ladder", 15900), ("bell", 2100)];

/// One order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) order: u64,
    /// Unix time in milliseconds.
    pub(super) at_ms: u64,
    pub(super) item: String,
    pub(super) cents: u64,
    /// A hash that depends on the number and the time of this order, and on the receipt of the order before.
    pub(super) receipt: String,
}

/// The order book. Orders are numbered from 1.
#[derive(Debug)]
pub(super) struct Orders {
    file: File,
    /// The offset and length of each order in the file.
    index: Vec<(u64, usize)>,
    /// Length of the file, in bytes.
    end: u64,
    /// The receipt of the last order; empty before the first.
    last_receipt: String,
}

impl Orders {
    /// Opens the book, and makes it if necessary. An incomplete last line, which a crash leaves behind, is removed; any other damaged line
    /// is an error.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file = File::options().read(true).append(true).create(true).open(path)?;
        let mut book = Self { file, index: Vec::new(), end: 0, last_receipt: String::new() };
        let mut reader = BufReader::new(book.file.try_clone()?);
        reader.seek(SeekFrom::Start(0))?;
        let mut line = String::new();
        while reader.read_line(&mut line)? > 0 {
            if !line.ends_with('\n') {
                book.file.set_len(book.end)?;
                break;
            }
            let order: Order = serde_json::from_str(&line)?;
            book.remember(order, line.len());
            line.clear();
        }
        Ok(book)
    }

    /// Makes a new order and appends it to the file.
    pub(super) fn take(&mut self) -> io::Result<Order> {
        let number = u64::try_from(self.index.len()).map_err(io::Error::other)? + 1;
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let at_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let mut receipt = DefaultHasher::new();
        receipt.write(self.last_receipt.as_bytes());
        for round in 0..ROUNDS {
            receipt.write_u64(number ^ at_ms ^ receipt.finish() ^ round);
        }
        let receipt = receipt.finish();
        let which = usize::try_from(receipt % 5).unwrap_or_default();
        let (item, cents) = CATALOGUE[which];
        let order =
            Order { order: number, at_ms, item: item.into(), cents, receipt: format!("{receipt:016x}") };
        let mut line = serde_json::to_vec(&order)?;
        line.push(b'\n');
        if let Err(e) = self.file.write_all(&line) {
            // A part of the line may have been written. It is removed, so that the next line is intact.
            self.file.set_len(self.end)?;
            return Err(e);
        }
        self.remember(order.clone(), line.len());
        Ok(order)
    }

    /// Returns the order with this number; `None` if there is none.
    pub(super) fn find(&self, number: u64) -> io::Result<Option<Order>> {
        let slot = number.checked_sub(1).and_then(|n| usize::try_from(n).ok());
        let Some((start, length)) = slot.and_then(|n| self.index.get(n)) else { return Ok(None) };
        let mut line = vec![0; *length];
        self.file.read_exact_at(&mut line, *start)?;
        Ok(Some(serde_json::from_slice(&line)?))
    }

    /// Returns the number of orders.
    pub(super) fn count(&self) -> usize {
        self.index.len()
    }

    /// Adds an order, whose line has `length` bytes, to the index.
    fn remember(&mut self, order: Order, length: usize) {
        self.index.push((self.end, length));
        self.end += u64::try_from(length).unwrap_or_default();
        self.last_receipt = order.receipt;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive_a_restart_and_an_incomplete_last_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shop/orders.jsonl");
        let mut book = Orders::open(&path).unwrap();
        let taken = [book.take().unwrap(), book.take().unwrap()];
        File::options().append(true).open(&path).unwrap().write_all(b"{\"order\":3,").unwrap();
        let mut book = Orders::open(&path).unwrap();
        assert_eq!(book.find(2).unwrap().as_ref(), Some(&taken[1]));
        assert_eq!(book.take().unwrap().order, 3);
        let book = Orders::open(&path).unwrap();
        assert_eq!(book.count(), 3);
        assert_eq!(book.find(1).unwrap().as_ref(), Some(&taken[0]));
        assert_eq!((book.find(0).unwrap(), book.find(4).unwrap()), (None, None));
    }

    #[test]
    fn a_damaged_line_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("orders.jsonl");
        fs::write(&path, "nonsense\n").unwrap();
        assert!(Orders::open(&path).is_err());
    }
}
