//! What proves who wrote a record: carried here, made and checked above, where the keys are.

/// A MAC over a record's terms; 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordMac([u8; 32]);

impl RecordMac {
    /// Takes the bytes; `None` where they are not 32.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
