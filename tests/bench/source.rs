//! What every system is sent: SenML JSON of about 175 bytes with six fields.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sen_tests::load::Source;
use sen_tests::mqtt::Who;
use sen_tests::sen::who;

/// Boot of every client: an incarnation and a counter, as a node writes it.
const BOOT: u64 = (23 << 32) | 1;
/// Fields of a message.
pub(crate) const FIELDS: usize = 6;

/// A client's messages: one each second of the past, so that all points differ.
pub(crate) struct Nodes {
    /// ms UTC of each client's first message.
    pub(crate) from: i64,
    /// Messages of that client sent before, in an earlier run.
    pub(crate) skip: usize,
    /// With name and password.
    pub(crate) signed_in: bool,
}

impl Nodes {
    /// Ends a little in the past after `each` messages a client.
    pub(crate) fn new(each: usize, signed_in: bool) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(0));
        Self {
            from: now - 1000 * (i64::try_from(each).unwrap_or(0) + 600),
            skip: 0,
            signed_in,
        }
    }
}

/// Name of client `i`, as [`sen_tests::sen::Setup::new`] gives them.
pub(crate) fn name(i: usize) -> String {
    format!("node-{:02}", i + 1)
}

/// Message `k` of a client as the gateway writes it in line protocol.
pub(crate) fn line(from: i64, client: usize, k: usize) -> String {
    let plots = [
        ("binh", "ao"),
        ("binh", "ruong"),
        ("hoa", "ao"),
        ("hoa", "ruong"),
    ];
    let (farm, plot) = plots[client % plots.len()];
    let at = from + 1000 * i64::try_from(k).unwrap_or(0);
    let r = digits(client, k);
    format!(
        "reading,coop=Sen,farm={farm},plot={farm}-{plot},node={} air_temperature=27.{r:02},air_humidity=81.{r:02},\
         soil_moisture=33.{r:02},soil_temperature=26.{r:02},water_level=12.{r:02},conductivity=1.{r:02} {at}",
        name(client)
    )
}

/// Values that move: equal ones would compress better than real ones do.
fn digits(client: usize, k: usize) -> usize {
    (k * 31 + client * 7) % 97
}

impl Source for Nodes {
    fn who(&self, client: usize) -> Who {
        let mut who = who(&name(client));
        who.clean = true;
        if !self.signed_in {
            who.password = None;
        }
        who
    }

    fn topic(&self, client: usize) -> String {
        format!("sen/1/{}/pack", name(client))
    }

    fn payload(&self, client: usize, k: usize) -> Bytes {
        let k = self.skip + k;
        let at = self.from + 1000 * i64::try_from(k).unwrap_or(0);
        let r = digits(client, k);
        format!(
            "[{{\"bt\":{}.{:03},\"boot\":{BOOT},\"seq\":{},\"n\":\"at\",\"v\":27.{r:02}}},\
             {{\"n\":\"ah\",\"v\":81.{r:02}}},{{\"n\":\"sm\",\"v\":33.{r:02}}},\
             {{\"n\":\"st\",\"v\":26.{r:02}}},{{\"n\":\"wl\",\"v\":12.{r:02}}},\
             {{\"n\":\"ec\",\"v\":1.{r:02}}}]",
            at / 1000,
            at % 1000,
            k * FIELDS,
        )
        .into()
    }
}
