//! The checksum of keys and tokens, by which one that was mistyped or invented is refused without a read.

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

/// How many characters a checksum has.
pub(crate) const CHECKSUM_LENGTH: usize = 6;

/// The CRC-32 of `text` in six base62 characters, most significant first, `0` to `9`, `A` to `Z`, `a` to `z`.
pub(crate) fn checksum(text: &str) -> String {
    const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    // Without a table, which is a part of every binary and of no use for so few bytes.
    const CRC_32: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);
    let mut rest = CRC_32.checksum(text.as_bytes());
    let mut digits = [b'0'; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_crc_32_in_base62() {
        // CRC-32 of "123456789" is the algorithm's published check value, 0xCBF43926 = 3421780262,
        // whose base62 digits are 3, 45, 35, 27, 22, 14.
        assert_eq!(checksum("123456789"), "3jZRME");
    }
}
