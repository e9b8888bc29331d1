//! Writing safetensors files whose bytes depend on nothing but their content: tensors lie widest type first, then by
//! name, the header is compact JSON in that order, padded to eight bytes.
use crate::error::{Error, Result};
use edgemaxx_files::WholeFile;
use safetensors::Dtype;
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;

/// A tensor to be written; its bytes are asked for when it is its turn.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.shape.iter().product::<usize>() * self.dtype.bitsize() / 8
    }
}

/// Writes `entries` to `path`, as a whole or not at all; `bytes` gives the little-endian content of each. `note` is an optional key and value for
/// the file's metadata.
pub(crate) fn write(
    path: &Path,
    mut entries: Vec<Entry>,
    note: Option<(&str, &str)>,
    bytes: impl Fn(&Entry) -> Result<Vec<u8>>,
) -> Result<()> {
    entries.sort_by(|a, b| b.dtype.bitsize().cmp(&a.dtype.bitsize()).then_with(|| a.name.cmp(&b.name)));
    // by hand, since the order of the keys is part of the format
    let mut fields = Vec::with_capacity(entries.len() + 1);
    let mut metadata = String::from("{");
    if let Some((key, value)) = note {
        metadata += &format!("{}:{},", Value::from(key), Value::from(value));
    }
    metadata += "\"format\":\"pt\"}";
    fields.push(format!("\"__metadata__\":{metadata}"));
    let mut offset = 0;
    for e in &entries {
        let end = offset + e.bytes();
        let (name, dtype) = (Value::from(e.name.as_str()), json!(e.dtype));
        let (shape, span) = (json!(e.shape), json!([offset, end]));
        fields.push(format!("{name}:{{\"dtype\":{dtype},\"shape\":{shape},\"data_offsets\":{span}}}"));
        offset = end;
    }
    let mut header = format!("{{{}}}", fields.join(","));
    header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
    let mut file = WholeFile::create(path).map_err(Error::io(path))?;
    let mut put = |data: &[u8]| file.write_all(data).map_err(Error::io(path));
    put(&(header.len() as u64).to_le_bytes())?;
    put(header.as_bytes())?;
    for e in &entries {
        put(&bytes(e)?)?;
    }
    file.finish().map_err(Error::io(path))
}
