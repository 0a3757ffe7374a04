//! The operating system's random generator, from which every id, key and secret comes.

use rand::CryptoRng;
use rand::rand_core::UnwrapErr;
use rand::rngs::SysRng;

/// The operating system's generator (`getrandom(2)` on Linux).
///
/// It panics if the operating system has no randomness, which on Linux happens only before the machine has booted: a
/// guessable secret would be worse.
pub fn system() -> impl CryptoRng {
    UnwrapErr(SysRng)
}
