//! The node configuration that was written when the board was flashed: [`sen_wire::provision`], read once at start.

use embedded_storage_async::nor_flash::ReadNorFlash;
use sen_wire::provision::{MAX_BLOCK, Provision, ProvisionError};

use crate::trouble::Trouble;

/// Reads the block at `offset` of the flash and refuses one that was made for another board. The flash must allow reads of
/// [`MAX_BLOCK`] bytes there.
///
/// # Errors
/// [`Trouble::Provision`], or [`Trouble::Storage`] if the flash can't be read. The board shows it with
/// [`give_up`](crate::status::give_up).
pub async fn read<'b, F: ReadNorFlash>(
    flash: &mut F,
    offset: u32,
    board: &str,
    buffer: &'b mut [u8; MAX_BLOCK],
) -> Result<Provision<'b>, Trouble> {
    flash
        .read(offset, buffer)
        .await
        .map_err(|_| Trouble::Storage)?;
    decode(buffer, board)
}

/// As [`read`], for a board whose flash can be read like memory.
///
/// # Errors
/// [`Trouble::Provision`].
pub fn decode<'b>(page: &'b [u8], board: &str) -> Result<Provision<'b>, Trouble> {
    Provision::for_board(page, board).map_err(|error: ProvisionError| error.into())
}
