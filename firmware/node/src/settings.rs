//! Where the node keeps its configuration, so that a reset does not undo it.
//!
//! [`FlashSettings`] holds it in a ring of two or more pages of NOR flash: the newest whole one counts, the one after it is
//! written next. A power cut leaves the old configuration or the new one, never a mixture and never none. Flash in which a
//! word that was cut short reads well at first and badly later needs three pages for that.
//!
//! ```text
//! page: "SenC" | generation u32 | length u32 | crc32 of all but itself | configuration | padding to whole words
//! ```

use core::fmt::{self, Debug};

use embedded_storage_async::nor_flash::NorFlash;
use sen_wire::limits::MAX_CONFIG_BYTES;

use crate::checksum::CRC;

/// Keeps one configuration, as the bytes that came.
#[allow(
    async_fn_in_trait,
    reason = "used through generics only: no caller needs to name Send"
)]
pub trait Settings {
    /// What can go wrong with it.
    type Error: Debug;

    /// Writes the configuration to the front of `buffer`, of [`MAX_CONFIG_BYTES`]. Returns its length; `None`: none is kept.
    async fn load(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Self::Error>;

    /// Keeps this one in place of the other. When power fails meanwhile, one of both is kept.
    async fn store(&mut self, config: &[u8]) -> Result<(), Self::Error>;
}

/// Keeps nothing: after a start the node waits for its configuration, which is retained, at the first connect.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSettings;

impl Settings for NoSettings {
    type Error = core::convert::Infallible;

    async fn load(&mut self, _: &mut [u8]) -> Result<Option<usize>, Self::Error> {
        Ok(None)
    }

    async fn store(&mut self, _: &[u8]) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<S: Settings> Settings for &mut S {
    type Error = S::Error;

    async fn load(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Self::Error> {
        (**self).load(buffer).await
    }

    async fn store(&mut self, config: &[u8]) -> Result<(), Self::Error> {
        (**self).store(config).await
    }
}

const MAGIC: [u8; 4] = *b"SenC";
const HEADER: usize = 16;
/// The largest word of a flash.
const MAX_WORD: usize = 32;
const IMAGE: usize = (HEADER + MAX_CONFIG_BYTES).next_multiple_of(MAX_WORD);

/// Why the flash did not keep the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<E> {
    /// The flash failed.
    Flash(E),
    /// The flash has less than two pages.
    PageCount,
    /// The configuration is longer than [`MAX_CONFIG_BYTES`].
    TooLong,
    /// What was written can't be read back.
    NotKept,
}

impl<E: Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "the flash failed: {error:?}"),
            Self::PageCount => f.write_str("settings need two pages of flash"),
            Self::TooLong => f.write_str("the configuration is longer than the protocol allows"),
            Self::NotKept => f.write_str("the flash did not keep what was written"),
        }
    }
}

impl<E: Debug> core::error::Error for Error<E> {}

/// Settings in a flash that is all theirs.
#[derive(Debug)]
pub struct FlashSettings<F> {
    flash: F,
}

/// What a page holds.
struct Kept {
    page: u32,
    generation: u32,
    length: usize,
}

impl<F: NorFlash> FlashSettings<F> {
    /// Over a flash of at least two pages, of whatever content.
    pub fn new(flash: F) -> Result<Self, Error<F::Error>> {
        const {
            assert!(
                F::WRITE_SIZE <= MAX_WORD
                    && F::WRITE_SIZE.is_multiple_of(F::READ_SIZE)
                    && F::ERASE_SIZE >= IMAGE,
                "words of at most 32 bytes, each of them whole reads, and pages that hold a configuration"
            );
        }
        if flash.capacity() < 2 * F::ERASE_SIZE {
            return Err(Error::PageCount);
        }
        Ok(Self { flash })
    }

    /// The flash.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// What a page holds, its bytes at the front of `image`. A page that can't be read holds nothing: it was torn.
    async fn page(&mut self, page: u32, image: &mut [u8; IMAGE]) -> Option<Kept> {
        self.flash
            .read(page * F::ERASE_SIZE as u32, image)
            .await
            .ok()?;
        let [magic, generation, length, crc] = [0, 4, 8, 12].map(|at| field(image, at));
        let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
        let config = image.get(HEADER..)?.get(..length)?;
        let whole = magic == MAGIC
            && length <= MAX_CONFIG_BYTES
            && checksum(generation, length as u32, config) == u32::from_le_bytes(crc);
        whole.then_some(Kept {
            page,
            generation: u32::from_le_bytes(generation),
            length,
        })
    }

    fn pages(&self) -> u32 {
        (self.flash.capacity() / F::ERASE_SIZE) as u32
    }

    /// The page that counts.
    async fn newest(&mut self, image: &mut [u8; IMAGE]) -> Option<Kept> {
        let mut newest: Option<Kept> = None;
        for page in 0..self.pages() {
            let kept = self.page(page, image).await;
            newest = match (newest, kept) {
                (Some(newest), Some(kept)) if newest.generation > kept.generation => Some(newest),
                (newest, kept) => kept.or(newest),
            };
        }
        newest
    }
}

impl<F: NorFlash> Settings for FlashSettings<F> {
    type Error = Error<F::Error>;

    async fn load(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, Self::Error> {
        let mut image = [0; IMAGE];
        let Some(newest) = self.newest(&mut image).await else {
            return Ok(None);
        };
        // The image is the last page's by now.
        let Some(kept) = self.page(newest.page, &mut image).await else {
            return Ok(None);
        };
        let config = image.get(HEADER..HEADER + kept.length);
        match (config, buffer.get_mut(..kept.length)) {
            (Some(config), Some(room)) => room.copy_from_slice(config),
            _ => return Err(Error::TooLong),
        }
        Ok(Some(kept.length))
    }

    async fn store(&mut self, config: &[u8]) -> Result<(), Self::Error> {
        let mut image = [0xff; IMAGE];
        let pages = self.pages();
        let newest = self.newest(&mut image).await;
        let (page, generation) = newest.map_or((0, 1), |newest| {
            ((newest.page + 1) % pages, newest.generation.wrapping_add(1))
        });
        let length = u32::try_from(config.len()).map_err(|_| Error::TooLong)?;
        image.fill(0xff);
        let crc = checksum(generation.to_le_bytes(), length, config);
        image[..4].copy_from_slice(&MAGIC);
        for (at, number) in [(4, generation), (8, length), (12, crc)] {
            image[at..at + 4].copy_from_slice(&number.to_le_bytes());
        }
        image
            .get_mut(HEADER..HEADER + config.len())
            .filter(|_| config.len() <= MAX_CONFIG_BYTES)
            .ok_or(Error::TooLong)?
            .copy_from_slice(config);
        let from = page * F::ERASE_SIZE as u32;
        let words = (HEADER + config.len()).next_multiple_of(F::WRITE_SIZE);
        self.flash
            .erase(from, from + F::ERASE_SIZE as u32)
            .await
            .map_err(Error::Flash)?;
        self.flash
            .write(from, &image[..words])
            .await
            .map_err(Error::Flash)?;
        match self.page(page, &mut image).await {
            Some(kept) if kept.generation == generation => Ok(()),
            _ => Err(Error::NotKept),
        }
    }
}

fn field(image: &[u8; IMAGE], at: usize) -> [u8; 4] {
    [image[at], image[at + 1], image[at + 2], image[at + 3]]
}

fn checksum(generation: [u8; 4], length: u32, config: &[u8]) -> u32 {
    let mut digest = CRC.digest();
    digest.update(&MAGIC);
    digest.update(&generation);
    digest.update(&length.to_le_bytes());
    digest.update(config);
    digest.finalize()
}
