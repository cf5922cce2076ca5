//! Mosquitto alone: what a broker costs that keeps messages in memory and hands them to one
//! subscriber or to none. The upper bound for everything behind it.

use std::time::Duration;

use anyhow::Result;
use sen_tests::mosquitto::{Access, Mosquitto, Persistence};
use sen_tests::mqtt::{Client, Who};

use crate::Options;
use crate::measure::{Burst, Figures, plan, steady};
use crate::source::Nodes;

pub(crate) async fn burst(options: &Options, subscriber: bool) -> Result<Figures> {
    let mut mosquitto = Mosquitto::start(&Access::Anonymous, Persistence::None).await?;
    let addr = mosquitto.addr();
    let pid = mosquitto.process().pid();
    let mut figures = Figures {
        system: if subscriber {
            "mosquitto, one subscriber"
        } else {
            "mosquitto"
        },
        idle_kib: Some(mosquitto.process().rss_kib()?.0),
        ..Figures::default()
    };
    let reader = if subscriber {
        Some(read_all(addr, options.messages).await?)
    } else {
        None
    };
    let each = options.messages / options.clients;
    let burst = Burst::run(plan(options, addr), Nodes::new(each, false), &[pid]).await?;
    burst.fill(&mut figures);
    if let Some(reader) = reader {
        reader.await??;
        // The generator read as well: its own figure means nothing here.
        figures.generator_cpu_us = None;
        figures.acked_per_s =
            Some(burst.outcome.acked as f64 / burst.started.elapsed().as_secs_f64());
    }
    figures.cpu_us = Some(burst.cpu_us(0)?);
    steady(options, addr, Nodes::new(each, false), &[pid], &mut figures).await?;
    figures.peak_kib = Some(mosquitto.process().rss_kib()?.1);
    Ok(figures)
}

/// A subscriber that acknowledges and counts; ends after `messages`.
async fn read_all(
    addr: std::net::SocketAddr,
    messages: usize,
) -> Result<tokio::task::JoinHandle<Result<()>>> {
    let who = Who {
        id: "reader".into(),
        password: None,
        clean: true,
    };
    let mut client = Client::connect(addr, &who).await?;
    client.subscribe("sen/1/+/pack").await?;
    Ok(tokio::spawn(async move {
        let mut seen = 0;
        while seen < messages {
            let mut packet = Some(client.next_within(Duration::from_secs(60)).await?);
            while let Some(one) = packet {
                seen += usize::from(client.acknowledge(&one)?);
                packet = client.parsed()?;
            }
            client.flush().await?;
        }
        Ok(())
    }))
}
