//! NOR flash as a board has it, and a power supply that fails when it is told to.
//!
//! Bits go from 1 to 0 only, words are written once, pages are erased whole. To break one of these rules is a panic: a real
//! flash would give no error, but wrong bits.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "a part of two tests, neither of which needs all of it"
)]

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use embedded_storage_async::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash,
};

#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) % n
    }
}

/// What a power cut leaves of the word that is being written, or of the page that is being erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tear {
    /// Nothing has happened to it.
    Before,
    /// Some bits of the word are programmed. The page is noise.
    Bits,
    /// Some bits of each word of this write are programmed, as in the page buffer of an SPI NOR. The page is erased here and
    /// there, not in its header.
    Call,
    /// It reads as erased. With ECC it can't be written; else it takes for good only the bits that were half written there.
    Weak,
    /// It reads as if all had gone well until the power has gone once more; then it is torn.
    Fading,
}

impl Tear {
    pub const ALL: [Self; 5] = [
        Self::Before,
        Self::Bits,
        Self::Call,
        Self::Weak,
        Self::Fading,
    ];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Erased,
    Written,
    Torn,
    Weak,
    Fading,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The power is gone.
    Power,
    /// ECC: this word can't be read.
    Unreadable,
    /// This word only looks erased.
    NotErased,
    /// For no reason, and not again.
    Passing,
}

impl NorFlashError for Failure {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

#[derive(Clone, Debug)]
pub struct Chip<const W: usize, const P: usize> {
    bytes: Vec<u8>,
    words: Vec<Word>,
    /// What was to be written where it is weak now.
    attempted: HashMap<usize, Vec<u8>>,
    pub erasures: Vec<u32>,
    pub reads: u64,
    pub bytes_read: u64,
    /// Words written and pages erased, so far.
    pub steps: u64,
    cut: Option<(u64, Tear)>,
    pub on: bool,
    /// Torn words can't be read.
    pub ecc: bool,
    /// So many percent of all calls fail, half of the writes after they have done it.
    pub failing: u64,
    /// The next so many reads fail.
    pub failing_reads: u32,
    dice: Dice,
}

/// A handle: what is on the chip outlives the outbox.
#[derive(Clone, Debug)]
pub struct Nor<const W: usize, const P: usize>(pub Rc<RefCell<Chip<W, P>>>);

impl<const W: usize, const P: usize> Nor<W, P> {
    /// A chip as it comes from wherever it was before: full of noise.
    pub fn new(pages: usize, seed: u64) -> Self {
        let mut dice = Dice(seed);
        Self(Rc::new(RefCell::new(Chip {
            bytes: (0..pages * P).map(|_| dice.below(256) as u8).collect(),
            words: vec![Word::Written; pages * P / W],
            attempted: HashMap::new(),
            erasures: vec![0; pages],
            reads: 0,
            bytes_read: 0,
            steps: 0,
            cut: None,
            on: true,
            ecc: false,
            failing: 0,
            failing_reads: 0,
            dice,
        })))
    }

    /// The power goes in the middle of the step that follows this many.
    pub fn cut_after(&self, steps: u64, tear: Tear) {
        self.0.borrow_mut().cut = Some((steps, tear));
    }

    pub fn is_armed(&self) -> bool {
        self.0.borrow().cut.is_some()
    }

    pub fn power_on(&self) {
        let chip = &mut *self.0.borrow_mut();
        chip.on = true;
        chip.cut = None;
    }
}

impl<const W: usize, const P: usize> Chip<W, P> {
    /// Takes one step; or says what becomes of it if the power goes now.
    fn step(&mut self) -> Result<(), Tear> {
        if let Some((left, tear)) = &mut self.cut {
            if *left == 0 {
                self.on = false;
                let tear = *tear;
                self.fade();
                return Err(tear);
            }
            *left -= 1;
        }
        self.steps += 1;
        Ok(())
    }

    /// What the cut before this one left to fade.
    fn fade(&mut self) {
        for word in 0..self.words.len() {
            if self.words[word] == Word::Fading {
                self.words[word] = Word::Torn;
                for byte in &mut self.bytes[word * W..][..W] {
                    *byte |= self.dice.below(256) as u8;
                }
            }
        }
    }

    /// A restart without a cut: the power is off all the same.
    pub fn power_cycle(&mut self) {
        self.fade();
    }

    /// The beginning of a larger chip, as a smaller partition sees it.
    pub fn copy_from(&mut self, other: &Self) {
        let (bytes, words) = (self.bytes.len(), self.words.len());
        self.bytes.copy_from_slice(&other.bytes[..bytes]);
        self.words.copy_from_slice(&other.words[..words]);
    }

    fn fails(&mut self) -> bool {
        self.failing > 0 && self.dice.below(100) < self.failing
    }

    fn program(&mut self, word: usize, bytes: &[u8]) {
        self.bytes[word * W..][..W].copy_from_slice(bytes);
        self.words[word] = Word::Written;
    }

    fn program_some_bits(&mut self, word: usize, bytes: &[u8]) {
        self.words[word] = Word::Torn;
        for (at, byte) in bytes.iter().enumerate() {
            self.bytes[word * W + at] = byte | self.dice.below(256) as u8;
        }
        if self.bytes[word * W..][..W].iter().all(|byte| *byte == 0xff) {
            self.weaken(word, bytes);
        }
    }

    fn weaken(&mut self, word: usize, bytes: &[u8]) {
        self.words[word] = Word::Weak;
        self.attempted.insert(word, bytes.to_vec());
    }

    fn tear_write(&mut self, tear: Tear, first: usize, at: usize, bytes: &[u8]) {
        let word = first + at;
        match tear {
            Tear::Before => {}
            Tear::Bits => self.program_some_bits(word, &bytes[at * W..][..W]),
            Tear::Call => {
                for (at, bytes) in bytes.chunks(W).enumerate() {
                    self.program_some_bits(first + at, bytes);
                }
            }
            Tear::Weak => self.weaken(word, &bytes[at * W..][..W]),
            Tear::Fading => {
                for (at, bytes) in bytes.chunks(W).enumerate() {
                    self.program(first + at, bytes);
                }
                self.words[word] = Word::Fading;
            }
        }
    }

    fn tear_erase(&mut self, tear: Tear, page: usize) {
        let words = page * P / W..(page + 1) * P / W;
        let header = words.start + 64 / W;
        for word in words {
            let erase = match tear {
                Tear::Before => continue,
                Tear::Bits => None,
                Tear::Call if word < header => continue,
                Tear::Call if self.dice.below(2) == 0 => continue,
                Tear::Call | Tear::Weak => Some(Word::Weak),
                Tear::Fading => Some(Word::Fading),
            };
            for at in word * W..(word + 1) * W {
                self.bytes[at] = match erase {
                    Some(_) => 0xff,
                    None => self.dice.below(256) as u8,
                };
            }
            self.words[word] = erase.unwrap_or(Word::Torn);
        }
    }
}

impl<const W: usize, const P: usize> ErrorType for Nor<W, P> {
    type Error = Failure;
}

impl<const W: usize, const P: usize> ReadNorFlash for Nor<W, P> {
    const READ_SIZE: usize = if W < 4 { W } else { 4 };

    async fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), Failure> {
        let chip = &mut *self.0.borrow_mut();
        let (from, to) = (offset as usize, offset as usize + bytes.len());
        assert!(from.is_multiple_of(Self::READ_SIZE) && to.is_multiple_of(Self::READ_SIZE));
        if !chip.on {
            return Err(Failure::Power);
        }
        if chip.failing_reads > 0 {
            chip.failing_reads -= 1;
            return Err(Failure::Passing);
        }
        if chip.fails() {
            return Err(Failure::Passing);
        }
        chip.reads += 1;
        chip.bytes_read += bytes.len() as u64;
        if chip.ecc && chip.words[from / W..to.div_ceil(W)].contains(&Word::Torn) {
            return Err(Failure::Unreadable);
        }
        bytes.copy_from_slice(&chip.bytes[from..to]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.0.borrow().bytes.len()
    }
}

impl<const W: usize, const P: usize> NorFlash for Nor<W, P> {
    const WRITE_SIZE: usize = W;
    const ERASE_SIZE: usize = P;

    async fn erase(&mut self, from: u32, to: u32) -> Result<(), Failure> {
        let chip = &mut *self.0.borrow_mut();
        let (from, to) = (from as usize, to as usize);
        assert!(from.is_multiple_of(P) && to == from + P, "one whole page");
        if !chip.on {
            return Err(Failure::Power);
        }
        if chip.fails() {
            return Err(Failure::Passing);
        }
        if let Err(tear) = chip.step() {
            chip.tear_erase(tear, from / P);
            return Err(Failure::Power);
        }
        chip.erasures[from / P] += 1;
        chip.bytes[from..to].fill(0xff);
        chip.words[from / W..to / W].fill(Word::Erased);
        Ok(())
    }

    async fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), Failure> {
        let chip = &mut *self.0.borrow_mut();
        let first = offset as usize / W;
        assert!((offset as usize).is_multiple_of(W) && bytes.len().is_multiple_of(W));
        if !chip.on {
            return Err(Failure::Power);
        }
        let fails = chip.fails();
        if fails && chip.dice.below(2) == 0 {
            return Err(Failure::Passing);
        }
        for (at, word) in bytes.chunks(W).enumerate() {
            let mut becomes = Word::Written;
            match chip.words[first + at] {
                Word::Erased => {}
                Word::Weak if chip.ecc => return Err(Failure::NotErased),
                Word::Weak => {
                    if chip
                        .attempted
                        .get(&(first + at))
                        .is_none_or(|was| was != word)
                    {
                        becomes = Word::Fading;
                    }
                }
                state => panic!("word {} is written a second time: {state:?}", first + at),
            }
            if let Err(tear) = chip.step() {
                chip.tear_write(tear, first, at, bytes);
                return Err(Failure::Power);
            }
            chip.program(first + at, word);
            chip.words[first + at] = becomes;
        }
        if fails {
            return Err(Failure::Passing);
        }
        Ok(())
    }
}
